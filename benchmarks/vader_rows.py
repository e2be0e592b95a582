"""Rows of sentiment from VADER's ground truth, for `flexp compare --data rows.csv`.

    pip download --no-deps --no-binary :all: --no-build-isolation vaderSentiment==2.5
    python benchmarks/vader_rows.py vaderSentiment-2.5.tar.gz domains -o domains.csv
    python benchmarks/vader_rows.py vaderSentiment-2.5.tar.gz thresholds --fleet F.yaml -o own.csv

Snippets of product and film reviews, editorials and tweets, each with the mean of some ratings from
-4 to 4 (Hutto and Gilbert, ICWSM 2014; MIT licence). The column `client` is

domains      the domain, with labels cut at -0.5 and 0.5: feature shift
thresholds   a client of the fleet, who has rows of all domains and cuts of its own, from both 1.2
             lower to both 1.2 higher: concept shift. One text would have another label elsewhere
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import random
import tarfile
from collections.abc import Sequence
from pathlib import Path

SHA256 = "b960c954831f5ca58afee61780cc04ed48e551b91e783bfcbfb2c18bb8081a84"
INNER = "hutto_ICWSM_2014.tar.gz"
DOMAINS = {
    "amazon": "amazonReviewSnippets_GroundTruth.txt",
    "movies": "movieReviewSnippets_GroundTruth.txt",
    "editorials": "nytEditorialSnippets_GroundTruth.txt",
    "tweets": "tweets_GroundTruth.txt",
}
CUT = 0.5
SHIFT = 1.2

Rated = tuple[str, str, float]
"""(domain, text, mean rating)."""


def read_ratings(sdist: bytes) -> list[Rated]:
    """From the package's source archive, which has an archive with the files in it."""
    rows: list[Rated] = []
    with tarfile.open(fileobj=io.BytesIO(sdist)) as outer:
        inner = next(name for name in outer.getnames() if name.endswith(INNER))
        with tarfile.open(fileobj=io.BytesIO(_bytes(outer, inner))) as files:
            for domain, ending in DOMAINS.items():
                name = next(name for name in files.getnames() if name.endswith(ending))
                for line in _bytes(files, name).decode("utf-8", errors="replace").splitlines():
                    _, rating, text = line.split("\t", 2)
                    rows.append((domain, text.strip(), float(rating)))
    return rows


def _bytes(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise SystemExit(f"{name} is no file")
    return file.read()


def label(rating: float, shift: float = 0.0) -> str:
    """By the cuts -0.5 and 0.5, both moved by `shift`."""
    if rating < shift - CUT:
        return "negative"
    return "positive" if rating > shift + CUT else "neutral"


def by_domain(rows: Sequence[Rated]) -> list[tuple[str, str, str]]:
    """(text, label, client)."""
    return [(text, label(rating), domain) for domain, text, rating in rows]


def by_thresholds(
    rows: Sequence[Rated], clients: Sequence[str], seed: int
) -> list[tuple[str, str, str]]:
    """(text, label, client): shuffled rows dealt to the clients, whose cuts move evenly."""
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)
    found = []
    for number, (_, text, rating) in enumerate(shuffled):
        place = number % len(clients)
        shift = SHIFT * (2 * place / (len(clients) - 1) - 1)
        found.append((text, label(rating, shift), clients[place]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sdist", type=Path)
    parser.add_argument("task", choices=("domains", "thresholds"))
    parser.add_argument("--fleet", type=Path, help="for thresholds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    content = asked.sdist.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise SystemExit(f"{asked.sdist} is not the pinned file, of SHA-256 {SHA256}")
    rows = read_ratings(content)
    if asked.task == "domains":
        made = by_domain(rows)
    else:
        from flexp.planner.names import member_names
        from flexp.planner.resolve import read_fleet

        if asked.fleet is None:
            parser.error("thresholds needs --fleet, whose clients have the cuts")
        clients = [
            name for entry in read_fleet(asked.fleet).clients for name in member_names(entry)
        ]
        made = by_thresholds(rows, clients, asked.seed)
    with asked.output.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("text", "label", "client"))
        table.writerows(made)


if __name__ == "__main__":
    main()

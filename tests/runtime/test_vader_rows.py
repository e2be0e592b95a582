"""benchmarks/vader_rows.py: rows of a small archive like the package's."""

from __future__ import annotations

import io
import runpy
import tarfile
from pathlib import Path

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "vader_rows.py"))
NAMES = tuple(SCRIPT["DOMAINS"].values())


def archive(files: dict[str, bytes]) -> bytes:
    stored = io.BytesIO()
    with tarfile.open(fileobj=stored, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stored.getvalue()


def test_ratings_of_an_archive_in_an_archive() -> None:
    inner = archive(
        {f"d/{name}": f"1\t-2.5\tbad {name}\r\n2_1\t0.1\tso\tso".encode() for name in NAMES}
    )
    rows = SCRIPT["read_ratings"](archive({f"package/{SCRIPT['INNER']}": inner}))
    assert len(rows) == 8
    assert rows[0] == ("amazon", f"bad {NAMES[0]}", -2.5)
    assert rows[-1] == ("tweets", "so\tso", 0.1)
    assert SCRIPT["by_domain"](rows)[:2] == [
        (f"bad {NAMES[0]}", "negative", "amazon"),
        ("so\tso", "neutral", "amazon"),
    ]


def test_every_client_has_cuts_of_its_own() -> None:
    """Ratings from -2 to 2; the first client calls what is above -0.7 positive, the last one what
    is above 1.7."""
    rows = [("movies", f"t{n}", n / 100) for n in range(-200, 200)]
    made = SCRIPT["by_thresholds"](rows, ("generous", "fair", "strict"), 0)
    assert sorted(text for text, _, _ in made) == sorted(text for _, text, _ in rows)
    ratings = {text: rating for _, text, rating in rows}
    for client, cut in (("generous", -0.7), ("fair", 0.5), ("strict", 1.7)):
        own = [(ratings[text], label) for text, label, owner in made if owner == client]
        assert len(own) in (133, 134)
        assert all((label == "positive") == (rating > cut + 1e-9) for rating, label in own)

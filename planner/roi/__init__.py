"""Does it pay: alternatives with costs, value and cash flows, from one fleet and one cost file."""

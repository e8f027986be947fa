# SPDX-License-Identifier: MIT
"""Writes docs/compatibility.md from what `run-apps.sh --json` said.

usage: page.py FILE...    (of several files, a later one's programs go first)
"""
import json
import sys

MODES = ["plain", "accelerated", "switched"]

HEAD = """# Compatibility

Written by `./run apps` from what it measured; not by hand.

Unmodified programs of {system}. Each has run plain, with both ends
accelerated, and with all connections sent to TCP and back to rings about 25
times a second. *Same* means that every check (contents by checksum or count,
exit codes, the server's end) held, as it did plain. The percentage is the
share of bytes that went by ring, of all that the connections of a check moved
from their first byte on. Checks in which each request, mail, transaction or
test has a connection of its own are left out of it: those are over after a few
round trips. A stream that begins at full speed fills the kernel's socket buffers,
4 to 6 MB, in the 2 ms before its ring is there: of a short one more goes by TCP.
In brackets, of all bytes on connections that xvmc follows, these and what only
the kernel can send as well.
Why a connection stays on TCP: [differences.md](differences.md),
[operations.md](operations.md).

| program | plain | accelerated | switched | what it does |
|---|---|---|---|---|
"""


def percent(run, which):
    """Rounded down: 100 % is all of them."""
    ring, tcp = (max(0, run[which + way + "_bytes"]) for way in ("ring", "tcp"))
    return f"{ring * 100 // (ring + tcp)} %" if ring + tcp else "-"


def cell(result, app, mode):
    checks = [c for c in result["checks"] if (c["app"], c["mode"]) == (app, mode)]
    bad = [c["check"] for c in checks if not c["ok"]]
    plain_bad = {c["check"] for c in result["checks"] if (c["app"], c["mode"]) == (app, "plain") and not c["ok"]}
    if not checks:
        return "not run"
    if mode == "plain":
        return f"{len(checks)} checks" if not bad else "fails: " + "; ".join(bad)
    run = next(r for r in result["runs"] if (r["app"], r["mode"]) == (app, mode))
    share = f"{percent(run, 'long_')} ({percent(run, '')})"
    new = [c for c in bad if c not in plain_bad]
    return f"same, {share}" if not new else f"differs: {'; '.join(new)}; {share}"


def about(program):
    return program["about"] + (f" (TCP: {program['tcp']})" if program["tcp"] else "")


def main():
    programs = {}
    for name in sys.argv[1:]:
        with open(name, encoding="utf-8") as file:
            result = json.load(file)
        for program in result["programs"]:
            programs[program["app"]] = (program, result)
    if not programs:
        raise SystemExit(__doc__)
    systems = {result["system"] for _, result in programs.values()}
    if len(systems) > 1:
        raise SystemExit("from different systems: " + "; ".join(sorted(systems)))
    print(HEAD.format(system=systems.pop()), end="")
    for app, (program, result) in sorted(programs.items()):
        cells = [cell(result, app, mode).replace("|", "/") for mode in MODES]
        print("|", " | ".join([app] + cells + [about(program).replace("|", "/")]), "|")
    print("\n## Versions\n\n| program | versions |\n|---|---|")
    for app, (program, _) in sorted(programs.items()):
        print("|", app, "|", " ".join(program["version"].split()), "|")


main()

"""Counts the lines of a crate that tests reach, and fails below a share.

coverage.py PROFILES SOURCES PERCENT

Merges what instrumented programs wrote to PROFILES, and reads it with the programs that cargo names
in PROFILES/built.json. Lines of tests themselves do not count: files below `tests`, and what follows
`#[cfg(test)]` before an inline module.
"""

import collections
import json
import pathlib
import re
import subprocess
import sys


def main():
    profiles, sources, percent = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve(), float(sys.argv[3])
    raw = [str(path) for path in profiles.glob("*.profraw")]
    if not raw:
        sys.exit(f"no profiles in {profiles}")
    merged = profiles / "merged.profdata"
    run(tool("llvm-profdata"), "merge", "--sparse", "-o", merged, *raw)
    objects = [argument for path in programs(profiles) for argument in ("--object", path)]
    lcov = run(tool("llvm-cov"), "export", "--format=lcov", f"--instr-profile={merged}", *objects[1:])
    reached, total = collections.Counter(), collections.Counter()
    missed = {}
    for path, lines in read(lcov).items():
        name = relative(path, sources)
        if name is None:
            continue
        limit = tests_begin(path)
        lines = {line: count for line, count in lines.items() if line < limit}
        total[name] = len(lines)
        reached[name] = sum(count > 0 for count in lines.values())
        missed[name] = [line for line, count in sorted(lines.items()) if not count]
    for name in sorted(total, key=lambda name: total[name] - reached[name], reverse=True):
        print(f"{name:<32} {reached[name]:>5} of {total[name]:>5}  {ranges(missed[name])[:90]}")
    share = 100 * sum(reached.values()) / max(sum(total.values()), 1)
    print(f"{sum(reached.values())} of {sum(total.values())} lines: {share:.2f} % (at least {percent} %)")
    sys.exit(share < percent)


def tool(name):
    root = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True)
    found = list(pathlib.Path(root.stdout.strip()).glob(f"lib/rustlib/*/bin/{name}"))
    return found[0] if found else sys.exit(f"{name} is missing: rustup component add llvm-tools")


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def programs(profiles):
    """Lists the tests that were built."""
    messages = map(json.loads, (profiles / "built.json").read_text().splitlines())
    return sorted({message["executable"] for message in messages if message.get("executable")})


def read(lcov):
    """Returns, by file, how often each line was reached; of several copies of a line, the most."""
    files, lines = collections.defaultdict(dict), {}
    for record in lcov.splitlines():
        key, _, value = record.partition(":")
        if key == "SF":
            lines = files[value]
        elif key == "DA":
            line, count = map(int, value.split(",")[:2])
            lines[line] = max(count, lines.get(line, 0))
    return files


def relative(path, sources):
    try:
        name = pathlib.Path(path).resolve().relative_to(sources)
    except ValueError:
        return None
    return None if "tests" in name.parts or name.name == "tests.rs" else str(name)


def tests_begin(path):
    """Returns the line at which a file's own tests begin, which are last."""
    text = pathlib.Path(path).read_text()
    inline = re.search(r"^#\[cfg\(test\)\]\nmod \w+ \{", text, re.MULTILINE)
    return text.count("\n", 0, inline.start()) + 1 if inline else sys.maxsize


def ranges(lines):
    spans = []
    for line in lines:
        if spans and spans[-1][1] == line - 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


main()

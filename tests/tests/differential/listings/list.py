"""Lists archives as Python's tarfile reads them: a path on each line in, a JSON object on each line out."""

import json
import math
import sys
import tarfile

KINDS = {
    tarfile.DIRTYPE: "d",
    tarfile.SYMTYPE: "l",
    tarfile.LNKTYPE: "h",
    tarfile.FIFOTYPE: "p",
    tarfile.CHRTYPE: "c",
    tarfile.BLKTYPE: "b",
}


def text(name):
    return name.encode("utf-8", "surrogateescape").hex()


def listed(member):
    kind = KINDS.get(member.type, "-")
    return {
        "name": text(member.name),
        "kind": kind,
        "size": member.size if kind == "-" else None,
        "mode": member.mode & 0o7777,
        "mtime": math.floor(member.mtime),
        "link": text(member.linkname) if kind in "lh" else None,
    }


def rest(archive, path):
    """Tells what tarfile is silent about: that it stopped at something that is no header."""
    with open(path, "rb") as file:
        file.seek(archive.offset)
        block = file.read(512)
    if len(block) not in (0, 512):
        return "a part of a block"
    if block.strip(b"\0"):
        return "a bad header"
    return None


def listing(path):
    members = []
    try:
        with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as archive:
            while (member := archive.next()) is not None:
                members.append(listed(member))
            refusal = rest(archive, path)
    except Exception as error:
        if type(error) is tarfile.ReadError and str(error) == "empty file":
            return {"members": [], "refusal": None}
        refusal = f"{type(error).__name__}: {error}"
    return {"members": members, "refusal": refusal}


for line in sys.stdin:
    print(json.dumps(listing(line.rstrip("\n"))))

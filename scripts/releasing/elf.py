"""What Android asks of a shared library, read from its ELF headers.

    python3 -m releasing.elf FILE...      (.so, or .aar and .jar with .so inside; run in scripts/)

A 64-bit library must be loadable where a page has 16 KB: every loadable segment aligned to 16384 bytes, at an
address and a file offset that agree. Google asks that of 64-bit ABIs only; here every library must be so. A library
must also be of the machine that its ABI folder names, move no code at load time, and need no library that a phone lacks.
"""

import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from . import Refused, archive

PAGE = 16384

# ABI folder -> (class, machine): e_ident[EI_CLASS] and e_machine.
ABIS = {
    "arm64-v8a": (64, 183),
    "armeabi-v7a": (32, 40),
    "x86": (32, 3),
    "x86_64": (64, 62),
}

# ABIs that no device of API level 24 has. JNA still ships them; nothing loads them.
RETIRED = ("armeabi", "mips", "mips64")

# The part of Android's own libraries that apps of API level 24 may link against and that is of use here.
PHONE = {"libc.so", "libdl.so", "liblog.so", "libm.so"}

PT_LOAD, PT_DYNAMIC = 1, 2
DT_NEEDED, DT_STRTAB, DT_TEXTREL, DT_FLAGS, DF_TEXTREL = 1, 5, 22, 30, 4


@dataclass(frozen=True)
class Segment:
    """A part of the file that is mapped into memory."""

    kind: int
    offset: int
    address: int
    size: int
    alignment: int


@dataclass(frozen=True)
class Library:
    """The headers of a shared library."""

    bits: int
    machine: int
    segments: tuple
    needed: tuple
    moves_code: bool


def parse(data):
    """The headers of the shared library `data`."""
    if data[:4] != b"\x7fELF" or len(data) < 6:
        raise Refused("this is no ELF file")
    if data[4] not in (1, 2) or data[5] != 1:
        raise Refused("only little-endian ELF files of 32 or 64 bits can be read")
    bits = 32 * data[4]
    try:
        return _parse(data, bits)
    except (struct.error, ValueError, StopIteration) as error:
        raise Refused(f"the ELF file is cut off or damaged: {error!r}") from error


def _parse(data, bits):
    kind, machine = struct.unpack_from("<HH", data, 16)
    if kind != 3:
        raise Refused(f"this ELF file is of type {kind}; a shared library has type 3")
    if bits == 64:
        table, entry, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    else:
        table, entry, count = *struct.unpack_from("<I", data, 28), *struct.unpack_from("<HH", data, 42)
    segments = tuple(_segment(data, bits, table + index * entry) for index in range(count))
    dynamic = list(_dynamic(data, bits, segments))
    flags = dict(dynamic)
    names = [_string(data, segments, flags[DT_STRTAB] + value) for tag, value in dynamic if tag == DT_NEEDED]
    moves_code = DT_TEXTREL in flags or bool(flags.get(DT_FLAGS, 0) & DF_TEXTREL)
    return Library(bits, machine, segments, tuple(names), moves_code)


def _segment(data, bits, at):
    if bits == 64:
        kind, _, offset, address, _, size, _, alignment = struct.unpack_from("<IIQQQQQQ", data, at)
    else:
        kind, offset, address, _, size, _, _, alignment = struct.unpack_from("<IIIIIIII", data, at)
    return Segment(kind, offset, address, size, alignment)


def _dynamic(data, bits, segments):
    """The tags and values of the dynamic section."""
    form = "<qQ" if bits == 64 else "<iI"
    for segment in segments:
        if segment.kind == PT_DYNAMIC:
            for at in range(segment.offset, segment.offset + segment.size, struct.calcsize(form)):
                tag, value = struct.unpack_from(form, data, at)
                if tag == 0:
                    return
                yield tag, value


def _string(data, segments, address):
    """The text at an address of the loaded library."""
    home = next(
        segment
        for segment in segments
        if segment.kind == PT_LOAD and segment.address <= address < segment.address + segment.size
    )
    start = home.offset + address - home.address
    return data[start : data.index(b"\0", start)].decode()


def check(name, data, abi=None):
    """Refuses a library that Android would not load; `abi` is the name of the folder that it is for."""
    library = parse(data)
    if abi is not None:
        if abi not in ABIS:
            raise Refused(f"{name}: {abi} is no ABI of Android; there are {', '.join(ABIS)}")
        if (library.bits, library.machine) != ABIS[abi]:
            found = next((key for key, value in ABIS.items() if value == (library.bits, library.machine)), None)
            raise Refused(f"{name}: the library is for {found or f'machine {library.machine}'}, not for {abi}")
    loads = [segment for segment in library.segments if segment.kind == PT_LOAD]
    if not loads:
        raise Refused(f"{name}: the library has nothing to load")
    for segment in loads:
        if segment.alignment % PAGE != 0 or segment.alignment == 0:
            raise Refused(
                f"{name}: a segment is aligned to {segment.alignment} bytes instead of {PAGE}; "
                "link with -Wl,-z,max-page-size=16384"
            )
        if (segment.address - segment.offset) % PAGE != 0:
            raise Refused(f"{name}: a segment's address and file offset do not agree at pages of {PAGE} bytes")
    if library.moves_code:
        raise Refused(f"{name}: the library has text relocations; compile its C parts with -fPIC")
    foreign = sorted(set(library.needed) - PHONE)
    if foreign:
        raise Refused(f"{name}: the library needs {', '.join(foreign)}, which apps may not load on a phone")
    return library


def libraries(path):
    """The shared libraries at `path`: (name, ABI or None, bytes) of each. Looks into an AAR or jar."""
    path = Path(path)
    if path.suffix not in (".aar", ".jar", ".zip"):
        abi = path.parent.name if path.parent.name in ABIS else None
        return [(str(path), abi, path.read_bytes())]
    found = []
    for name, data in sorted(archive.read(path).items()):
        parts = name.split("/")
        if parts[0] == "jni" and name.endswith(".so") and parts[1] not in RETIRED:
            found.append((f"{path.name}: {name}", parts[1], data))
    return found


def main(paths):
    """Checks the libraries at `paths`; prints a line for each, and answers the exit code."""
    code = 0 if paths else 2
    for path in paths:
        found = libraries(path)
        if not found:
            print(f"{path}: no library under jni/", file=sys.stderr)
            code = 1
        for name, abi, data in found:
            try:
                library = check(name, data, abi)
            except Refused as refusal:
                print(refusal, file=sys.stderr)
                code = 1
            else:
                print(f"{name}: ok, {library.bits} bits, segments at {PAGE}, needs {', '.join(library.needed) or 'nothing'}")
    if not paths:
        print(__doc__.strip(), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

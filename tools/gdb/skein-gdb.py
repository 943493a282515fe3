# SPDX-License-Identifier: Apache-2.0
"""Fibers for gdb: lists those of a program built with Skein and prints where they are parked.

    (gdb) source tools/gdb/skein-gdb.py
    (gdb) skein-fibers            the fibers of every shard: number, name, state, where
    (gdb) skein-bt 3              the backtrace of fiber number 3
    (gdb) skein-bt reader         ... of each fiber of that name
    (gdb) skein-bt all            ... of every fiber

It works on a live process and on a core file that the kernel wrote: a parked fiber's frames are found
by following the frame pointers on its stack, so that no register has to be changed. (gdb's own
"gcore" leaves out mappings with guard pages in them, and with them the stacks.) The fiber that runs
on a thread is what gdb's "backtrace" shows.
"""
import gdb

STATES = ("ready", "running", "parked", "done")
FRAME_COUNT_MAX = 128


def field_offset(type_name, field):
    """Bytes from the start of the struct to the field."""
    for candidate in gdb.lookup_type(type_name).fields():
        if candidate.name == field:
            return candidate.bitpos // 8
    raise gdb.GdbError(f"{type_name} has no field {field}: another version of Skein?")


def shards():
    """The shard that runs on each thread, as pointers."""
    found = []
    selected = gdb.selected_thread()
    for thread in sorted(gdb.selected_inferior().threads(), key=lambda t: t.num):
        thread.switch()
        try:
            shard = gdb.parse_and_eval("shard_current")
        except gdb.error:
            continue
        if int(shard) and int(shard) not in [int(s) for s in found]:
            found.append(shard)
    if selected and selected.is_valid():
        selected.switch()
    return found


def fibers():
    """Every live fiber of every shard, oldest first, as struct values."""
    fiber_type = gdb.lookup_type("struct skein_fiber").pointer()
    offset = field_offset("struct skein_fiber", "shard_link")
    for shard in shards():
        head = shard.dereference()["fibers"].address
        link = head.dereference()["next"]
        while int(link) and int(link) != int(head):
            yield gdb.Value(int(link) - offset).cast(fiber_type).dereference()
            link = link.dereference()["next"]


def word(address):
    """The pointer-sized number in memory at the address."""
    pointer = gdb.lookup_type("unsigned long").pointer()
    return int(gdb.Value(address).cast(pointer).dereference())


def first_frame(fiber):
    """(pc, frame pointer) of a fiber that does not run."""
    context = fiber["context"]
    sp = int(context["sp"])
    if "aarch64" in gdb.selected_inferior().architecture().name():
        return word(sp + 88), word(sp + 80)
    ip = int(context["ip"])
    function = gdb.block_for_pc(ip)
    symbol = gdb.execute(f"info symbol {ip}", to_string=True)
    if "context_machine_suspend" in symbol or "context_machine_resumed" in symbol:
        return word(sp + 48), word(sp + 40)  # r15 r14 r13 r12 rbx rbp, then the return address
    if "context_machine_entry" in symbol:
        return int(fiber["fn"]), 0  # it has not begun
    return ip, int(context["fp"]) if function else 0


def frames(fiber):
    """The program counters of a fiber that does not run, innermost first."""
    pc, frame_pointer = first_frame(fiber)
    low = int(fiber["stack"].dereference()["low"])
    high = int(fiber["stack"])
    yield pc
    for _ in range(FRAME_COUNT_MAX):
        if not low <= frame_pointer < high:
            return
        pc = word(frame_pointer + 8)
        above = word(frame_pointer)
        if pc == 0:
            return
        yield pc
        if above <= frame_pointer:
            return
        frame_pointer = above


def describe(pc, innermost):
    """function (file:line) of a program counter; a caller's is looked up inside its call."""
    lookup = pc if innermost else pc - 1
    name = gdb.execute(f"info symbol {lookup}", to_string=True).split(" in section")[0].strip()
    if name.startswith("No symbol"):
        name = hex(pc)
    name = name.split(" + ")[0]
    line = gdb.find_pc_line(lookup)
    where = f" ({line.symtab.filename}:{line.line})" if line.symtab else ""
    return f"{name}{where}"


def in_library(text):
    """Whether a described frame is the runtime's own, not what parked."""
    return text.startswith(("fiber_", "skein_", "await_", "context_", "submit_and_park"))


def title(number, fiber):
    """The line of one fiber in the list."""
    state = STATES[int(fiber["state"])]
    name = fiber["name"].string(errors="replace")
    marks = " cancelled" if bool(fiber["cancelled"]) else ""
    return f"{number:4} {name:24} {state}{marks}"


class Fibers(gdb.Command):
    """List the fibers of every shard: number, name, state and where they are parked."""

    def __init__(self):
        super().__init__("skein-fibers", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        count = 0
        for number, fiber in enumerate(fibers()):
            count += 1
            text = title(number, fiber)
            if STATES[int(fiber["state"])] in ("parked", "ready"):
                described = [describe(pc, i == 0) for i, pc in enumerate(frames(fiber))]
                users = [d for d in described if not in_library(d)] or described
                text += "  " + users[0]
            print(text)
        print(f"{count} fibers")


class Backtrace(gdb.Command):
    """Print a fiber's backtrace: skein-bt NUMBER | NAME | all."""

    def __init__(self):
        super().__init__("skein-bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        wanted = argument.strip()
        if not wanted:
            raise gdb.GdbError("skein-bt NUMBER | NAME | all")
        found = False
        for number, fiber in enumerate(fibers()):
            name = fiber["name"].string(errors="replace")
            if wanted not in ("all", str(number), name):
                continue
            found = True
            print(title(number, fiber))
            if STATES[int(fiber["state"])] == "running":
                print("     runs on a thread: see gdb's backtrace of it")
                continue
            for depth, pc in enumerate(frames(fiber)):
                print(f"     #{depth:<2} {hex(pc)} in {describe(pc, depth == 0)}")
        if not found:
            raise gdb.GdbError(f"no fiber {wanted}")


Fibers()
Backtrace()

"""What the simulated server's kernel and its NVIDIA driver write, as rsyslog keeps it."""

from datetime import UTC, datetime

from llm_monitor.mock.identity import container_id, pci_place, pid
from llm_monitor.mock.logs.roll import Roll
from llm_monitor.mock.logs.span import Fate, Span
from llm_monitor.mock.sources.gpu_processes import Tenants
from llm_monitor.mock.world.gpus import Xid

_HOST = "gpu-server"
_KIB = 1024
# The kernel keeps so much of a program's name.
_NAME = 15
_REPEATED = 2
# A process of the host that no container has.
_OTHER = "java"
_OTHER_PID = 3_900_000
_OTHER_SHARE = 0.2

# What the driver says of an XID; NVIDIA's "XID Errors" tells what each of them means.
_XIDS = {
    13: "Graphics SM Warp Exception on (GPC 3, TPC 1, SM 0): Illegal Instruction Encoding",
    31: "Ch 00000012, intr 00000000. MMU Fault: ENGINE GRAPHICS faulted",
    43: "Ch 00000012, reset channel",
    45: "Ch 00000012, channel removed",
    48: "An uncorrectable double bit error (DBE) has been detected",
    63: "Row Remapper: a row is marked for remapping, reset the GPU to activate it",
    64: "Row Remapper: a row could not be remapped",
    74: "NVLink: fatal error detected on link 3",
    79: "GPU has fallen off the bus.",
    94: "Contained: uncorrectable memory error",
    95: "Uncontained: uncorrectable memory error",
}


class Kernel:
    """The kernel and its log."""

    def __init__(self, span: Span, roll: Roll) -> None:
        """Write to `roll` what the kernel notices in `span`."""
        self._span = span
        self._roll = roll

    def write(self, fates: list[Fate]) -> None:
        """Write what it says, also of containers whose `fates` these are."""
        for xid, count in self._span.xids():
            self._roll.left_out += count - 1
            self._reports(xid)
        for fate in fates:
            if fate.killed and fate.ended is not None:
                self._kills(fate, fate.ended)
        self._kills_others()
        self._disks()
        self._links()

    def _say(self, time: float, text: str) -> None:
        within = self._roll.within(time)
        stamp = datetime.fromtimestamp(within, UTC).isoformat(timespec="microseconds")
        self._roll.add(time, f"{stamp} {_HOST} kernel: {text}")

    def _reports(self, xid: Xid) -> None:
        """Write an error of a GPU, and which process ran on it."""
        domain, bus = pci_place(xid.gpu)
        where = f"{domain:04x}:{bus:02x}:00"
        tenants = Tenants(self._span.plan, self._span.server)
        programs = {one.pid: one.program for one in tenants.all()}
        processes = tenants.on(xid.gpu, self._span.before, 0.0, 0.0)
        who = "pid='<unknown>', name=<unknown>"
        if processes:
            who = f"pid={processes[0].pid}, name={programs[processes[0].pid]}"
        text = _XIDS.get(xid.xid, "see NVIDIA's list of XIDs")
        self._say(xid.time, f"NVRM: Xid (PCI:{where}): {xid.xid}, {who}, {text}")
        if xid.xid == 79:
            self._say(xid.time, f"NVRM: GPU {where}.0: GPU has fallen off the bus.")

    def _kills(self, fate: Fate, time: float) -> None:
        """Write that a container's process was killed for memory."""
        span = self._span
        number = pid(span.server, fate.place, 0)
        limit = float(span.plan.crew.memory_limit[fate.place])
        if not limit:
            memory = float(span.before.containers.memory[span.row, fate.place])
            self._say(time, f"Out of memory: {_killed(number, fate.name, memory)}")
            return
        group = f"/system.slice/docker-{container_id(span.server, fate.name)}.scope"
        self._say(
            time,
            f"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),oom_memcg={group},"
            f"task_memcg={group},task={fate.name[:_NAME]},pid={number},uid=0",
        )
        self._say(time, f"Memory cgroup out of memory: {_killed(number, fate.name, limit)}")

    def _kills_others(self) -> None:
        """Write which processes outside of containers were killed for memory."""
        span = self._span
        earlier, later = (int(state.host.kills[span.row, 0]) for state in (span.before, span.after))
        memory = _OTHER_SHARE * span.plan.frame.memory
        self._roll.left_out += max(0, later - earlier - _REPEATED)
        for number in range(max(earlier, later - _REPEATED), later):
            text = f"Out of memory: {_killed(_OTHER_PID + number, _OTHER, memory)}"
            self._say(span.after.time, text)

    def _disks(self) -> None:
        """Write which file systems can't be written to any more."""
        span = self._span
        earlier, later = (
            state.host.readonly[span.row].tolist() for state in (span.before, span.after)
        )
        for disk, was, broken in zip(span.plan.fleet.disks, earlier, later, strict=True):
            if not broken or was:
                continue
            if disk.fstype == "ext4":
                text = f"EXT4-fs ({disk.device}): Remounting filesystem read-only"
            else:
                text = f"XFS ({disk.device}): log I/O error -5, shutting down filesystem"
            self._say(span.after.time, text)

    def _links(self) -> None:
        """Write which GPUs had to repeat what they sent over PCIe."""
        span = self._span
        rows = (state.gpus.replays[span.row].tolist() for state in (span.before, span.after))
        for index, (earlier, later) in enumerate(zip(*rows, strict=True)):
            domain, bus = pci_place(index)
            where = f"{domain:04x}:{bus:02x}:00.0"
            new = int(later) - int(earlier)
            if new > 0:
                self._roll.left_out += new - 1
                text = "PCIe Bus Error: severity=Correctable, type=Data Link Layer, (Transmitter)"
                self._say(span.after.time, f"nvidia {where}: {text}")


def _killed(number: int, program: str, memory: float) -> str:
    size = int(memory / _KIB)
    return (
        f"Killed process {number} ({program[:_NAME]}) total-vm:{2 * size}kB, anon-rss:{size}kB, "
        f"file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:{size // 500}kB oom_score_adj:0"
    )

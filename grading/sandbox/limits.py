"""What the processes of one submission may use."""

try:
    import resource
except ImportError:  # Windows
    resource = None

MEMORY = 4 * 2**30  # bytes of address space a process
PROCESSES, FILES, FILE_SIZE, SCRATCH = 64, 256, 64 * 2**20, 128 * 2**20
TEXT, PICTURES = 20_000, 8  # what is kept of a cell's output: letters, and pictures
PICTURE = 400_000  # bytes
USERS = 256  # ids of a sandbox and those that are forked from it


def limit_resources(isolate):
    """Limit this process and all that it starts."""
    limits = [
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, FILE_SIZE),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_CORE, 0),
    ]
    if isolate:  # elsewhere all processes of the same user count
        limits.append((resource.RLIMIT_NPROC, PROCESSES))
    for kind, most in limits:
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):  # macOS knows some of them by name only
            continue

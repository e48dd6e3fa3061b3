package confine

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A judge runs a filter as the kernel would.
type judge struct {
	t  *testing.T
	vm *bpf.VM
}

func newJudge(t *testing.T, program []unix.SockFilter) judge {
	t.Helper()
	raw := make([]bpf.RawInstruction, len(program))
	for i, f := range program {
		raw[i] = bpf.RawInstruction{Op: f.Code, Jt: f.Jt, Jf: f.Jf, K: f.K}
	}
	instructions, ok := bpf.Disassemble(raw)
	require.True(t, ok)
	vm, err := bpf.NewVM(instructions)
	require.NoError(t, err)
	return judge{t, vm}
}

// verdict is what becomes of a system call. The machine reads words from high to low and the kernel as they lie, so each is turned round.
func (j judge) verdict(archID, number uint32, args ...uint64) uint32 {
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[numberAt:], number)
	binary.BigEndian.PutUint32(data[archAt:], archID)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[argsAt+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[argsAt+8*i+4:], uint32(a>>32))
	}
	out, err := j.vm.Run(data)
	require.NoError(j.t, err)
	return uint32(out)
}

func here(t *testing.T) *arch.Info {
	t.Helper()
	info, err := arch.GetInfo("")
	require.NoError(t, err)
	return info
}

// says is what the rules say, without a filter.
func says(rules []rule, name string, args []uint64) uint32 {
	for _, r := range rules {
		switch {
		case r.name != name:
		case holds(r.alternatives, args):
			return granted
		case r.failing != nil && !holds(r.failing, args):
			return deadly
		}
	}
	return denied
}

func holds(alternatives []alternative, args []uint64) bool {
next:
	for _, a := range alternatives {
		for _, c := range a {
			word := uint32(args[c.arg])
			if c.high {
				word = uint32(args[c.arg] >> 32)
			}
			if word&c.mask != c.value {
				continue next
			}
		}
		return true
	}
	return false
}

// Each system call of this architecture meets the verdict that the list and the rules say, with arguments that look like numbers of system calls and
// like the values that rules ask for: what a condition has looked at must not be taken for a number.
func TestTheFilterSaysWhatTheRulesSay(t *testing.T) {
	info := here(t)
	plain := make(map[string]bool)
	for _, name := range allowed {
		require.False(t, plain[name], "%s is there twice", name)
		plain[name] = true
	}
	for _, box := range []*Sandbox{{}, {Network: true}, {Exec: true}, {Network: true, Exec: true}} {
		for _, apart := range []bool{false, true} {
			const cookie = 0x12345678
			program, err := filter(box, apart, cookie)
			require.NoError(t, err)
			j := newJudge(t, program)
			list := rules(box, apart, cookie)
			seen := make(map[string]bool)
			values := []uint64{
				0, 1, 1 << 32, 1<<64 - 1, uint64(startFlags), uint64(startFlags | unix.CLONE_PIDFD), unix.CLONE_THREAD | unix.CLONE_NEWUSER,
				cookie<<32 | uint64(startFlags), cookie<<32 | unix.CLONE_THREAD, (cookie+1)<<32 | uint64(startFlags),
			}
			for _, r := range list {
				require.False(t, seen[r.name] || plain[r.name], "%s is there twice", r.name)
				seen[r.name] = true
				for _, a := range r.alternatives {
					for _, c := range a {
						values = append(values, uint64(c.value))
					}
				}
			}
			r := rand.New(rand.NewPCG(1, 2))
			for name, number := range info.SyscallNames {
				for range 50 {
					args := make([]uint64, 6)
					for i := range args {
						switch r.IntN(3) {
						case 0:
							args[i] = values[r.IntN(len(values))]
						case 1:
							args[i] = uint64(r.IntN(500))
						default:
							args[i] = r.Uint64()
						}
					}
					want := says(list, name, args)
					switch {
					case plain[name]:
						want = granted
					case slices.Contains(replaced, name):
						want = missing
					}
					require.Equal(t, want, j.verdict(uint32(info.ID), uint32(number), args...), "%s%v", name, args)
				}
			}
		}
	}
}

// The same numbers mean other things to other interfaces of the kernel.
func TestTheFilterKnowsOneInterface(t *testing.T) {
	info := here(t)
	program, err := filter(&Sandbox{Network: true, Exec: true}, true, 1)
	require.NoError(t, err)
	j := newJudge(t, program)
	read := uint32(info.SyscallNames["read"])
	assert.EqualValues(t, granted, j.verdict(uint32(info.ID), read))
	assert.Equal(t, denied, j.verdict(uint32(arch.ARM.ID)+uint32(arch.I386.ID), read), "of no architecture")
	for _, other := range []*arch.Info{arch.I386, arch.ARM, arch.AARCH64, arch.X86_64} {
		if other.ID != info.ID {
			assert.Equal(t, denied, j.verdict(uint32(other.ID), read), "of %s", other.Name)
		}
	}
	if info == arch.X86_64 {
		assert.Equal(t, denied, j.verdict(uint32(info.ID), read|x32), "of x32")
	}
}

// Cores that go to a program are written unless the limit is 1, so that it may not become 0.
func TestTheFilterKeepsTheLimitOfCores(t *testing.T) {
	info := here(t)
	program, err := filter(&Sandbox{Network: true, Exec: true}, true, 1)
	require.NoError(t, err)
	j := newJudge(t, program)
	prlimit := uint32(info.SyscallNames["prlimit64"])
	const some = 0xc000123456
	assert.Equal(t, denied, j.verdict(uint32(info.ID), prlimit, 0, unix.RLIMIT_CORE, some, 0))
	assert.Equal(t, denied, j.verdict(uint32(info.ID), prlimit, 0, unix.RLIMIT_CORE, 1<<32, 0))
	assert.EqualValues(t, granted, j.verdict(uint32(info.ID), prlimit, 0, unix.RLIMIT_CORE, 0, some))
	assert.EqualValues(t, granted, j.verdict(uint32(info.ID), prlimit, 0, unix.RLIMIT_NOFILE, some, 0))
	assert.Equal(t, denied, j.verdict(uint32(info.ID), prlimit, 1, unix.RLIMIT_NOFILE, some, 0), "of another process")
	assert.Equal(t, denied, j.verdict(uint32(info.ID), uint32(info.SyscallNames["setrlimit"]), unix.RLIMIT_CORE, some))
	assert.EqualValues(t, granted, j.verdict(uint32(info.ID), uint32(info.SyscallNames["setrlimit"]), unix.RLIMIT_NOFILE, some))
}

// The start of the worker shows its cookie, and nobody else can: who has none fails, and who guesses does not guess twice.
func TestTheFilterTellsTheStartByItsCookie(t *testing.T) {
	info := here(t)
	const cookie, start = 0x12345678, uint64(startFlags)
	program, err := filter(&Sandbox{}, true, cookie)
	require.NoError(t, err)
	j := newJudge(t, program)
	clone := func(flags uint64) uint32 {
		return j.verdict(uint32(info.ID), uint32(info.SyscallNames["clone"]), flags)
	}
	assert.EqualValues(t, granted, clone(cookie<<32|start))
	assert.EqualValues(t, granted, clone(cookie<<32|start|unix.CLONE_PIDFD))
	assert.EqualValues(t, granted, clone(unix.CLONE_THREAD|unix.CLONE_VM))
	assert.Equal(t, denied, clone(start))
	assert.Equal(t, denied, clone(uint64(unix.SIGCHLD)))
	for _, guess := range []uint64{1, cookie + 1, cookie ^ 1<<31, 1<<32 - 1} {
		assert.Equal(t, uint32(deadly), clone(guess<<32|start), "%#x", guess)
	}
	assert.Equal(t, uint32(deadly), clone(cookie<<32|start|unix.CLONE_NEWUSER))
	if !hasCookies {
		t.Skip("A PROCESSOR OF 32 BITS HAS NO COOKIES")
	}
	assert.Equal(t, uint64(cookie)<<32, uint64(carry(cookie)))
	assert.NotEqual(t, newCookie(), newCookie())
}

func TestCoresForAProgramTakeALimitOfTheirOwn(t *testing.T) {
	for pattern, want := range map[string]rlimit{
		"core\n":                              {"Limits.Core", unix.RLIMIT_CORE, unix.Rlimit{}},
		"|/lib/systemd/systemd-coredump %P\n": {"Limits.Core", unix.RLIMIT_CORE, unix.Rlimit{Cur: 1, Max: 1}},
		"":                                    {"Limits.Core", unix.RLIMIT_CORE, unix.Rlimit{}},
	} {
		assert.Equal(t, []rlimit{want}, rlimits(Limits{Core: -1}, false, pattern))
		assert.Equal(t, []rlimit{want}, rlimits(Limits{}, true, pattern))
	}
	assert.Empty(t, rlimits(Limits{}, false, "|/bin/cat"))
}

// What no sandbox may ever allow, whatever else changes in the lists.
func TestTheFilterNeverAllows(t *testing.T) {
	info := here(t)
	program, err := filter(&Sandbox{Network: true, Exec: true}, true, 1)
	require.NoError(t, err)
	j := newJudge(t, program)
	for _, name := range []string{
		"io_uring_setup", "io_uring_enter", "bpf", "perf_event_open", "userfaultfd", "mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "keyctl",
		"add_key", "request_key", "init_module", "finit_module", "kexec_load", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp",
		"open_by_handle_at", "name_to_handle_at", "quotactl", "swapon", "reboot", "acct", "settimeofday", "clock_settime", "adjtimex", "sethostname",
		"setuid", "setgid", "setreuid", "setresuid", "setgroups", "setfsuid", "capset", "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown",
		"fchownat", "utime", "utimes", "utimensat", "futimesat", "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "execveat", "memfd_create", "memfd_secret",
		"setpriority", "ioprio_set", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr", "migrate_pages", "move_pages", "shmget", "shmat", "msgget",
		"semget", "mq_open", "setsid", "mknod", "mknodat", "fanotify_init", "lookup_dcookie", "seccomp", "landlock_restrict_self", "ioperm", "iopl", "modify_ldt",
		"process_madvise", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "get_robust_list", "syslog", "vhangup", "nfsservctl",
	} {
		number, ok := info.SyscallNames[name]
		if !ok {
			continue // not of this architecture
		}
		assert.Equal(t, denied, j.verdict(uint32(info.ID), uint32(number)), name)
	}
}

// So that libraries use what they used before there were these.
func TestTheFilterSaysThatWhatItCannotLookIntoIsNotThere(t *testing.T) {
	info := here(t)
	program, err := filter(&Sandbox{}, true, 1)
	require.NoError(t, err)
	for _, name := range []string{"clone3", "openat2", "futex_wait", "futex_wake"} {
		if number, ok := info.SyscallNames[name]; ok {
			assert.Equal(t, missing, newJudge(t, program).verdict(uint32(info.ID), uint32(number)), name)
		}
	}
}

// Said once more, without the rules: what becomes of those system calls that may be made with some arguments.
func TestTheFilterLooksAtArguments(t *testing.T) {
	info := here(t)
	const thread, start = unix.CLONE_THREAD | unix.CLONE_VM | unix.CLONE_SIGHAND, unix.CLONE_VFORK | unix.CLONE_VM | uint64(unix.SIGCHLD)
	const setSignal, cookie = 10, 1 << 32 // F_SETSIG
	pure, exec, network := &Sandbox{}, &Sandbox{Exec: true}, &Sandbox{Network: true}
	for _, c := range []struct {
		box  *Sandbox
		name string
		args []uint64
		may  bool
	}{
		{pure, "tgkill", []uint64{1, 2, uint64(unix.SIGURG)}, true},
		{pure, "tgkill", []uint64{1, 2, uint64(unix.SIGKILL)}, false},
		{pure, "kill", []uint64{1, 0}, true},
		{pure, "kill", []uint64{1, uint64(unix.SIGURG)}, false},
		{pure, "fcntl", []uint64{3, unix.F_GETFL}, true},
		{pure, "fcntl", []uint64{3, unix.F_SETOWN}, false},
		{pure, "fcntl", []uint64{3, unix.F_SETOWN_EX}, false},
		{pure, "fcntl", []uint64{3, setSignal}, false},
		{pure, "openat", []uint64{3, 0, unix.O_RDWR | unix.O_CREAT | unix.O_CLOEXEC}, true},
		{pure, "openat", []uint64{3, 0, unix.O_ACCMODE | unix.O_CLOEXEC}, false},
		{pure, "ptrace", []uint64{unix.PTRACE_TRACEME}, true},
		{pure, "ptrace", []uint64{unix.PTRACE_ATTACH, 1}, false},
		{pure, "ptrace", []uint64{unix.PTRACE_SEIZE, 1}, false},
		{pure, "setpgid", []uint64{0, 0}, true},
		{pure, "setpgid", []uint64{0, 1}, false},
		{pure, "prctl", []uint64{unix.PR_SET_NAME, 0}, true},
		{pure, "prctl", []uint64{unix.PR_SET_DUMPABLE, 1}, false},
		{pure, "clone", []uint64{thread}, true},
		{pure, "clone", []uint64{thread | unix.CLONE_NEWUSER}, false},
		{pure, "clone", []uint64{start | cookie}, true},
		{pure, "clone", []uint64{start}, false},
		{pure, "fork", nil, false},
		{pure, "pidfd_open", []uint64{1, 0}, false},
		{pure, "pidfd_send_signal", []uint64{3, 9}, false},
		{exec, "clone", []uint64{start}, true},
		{exec, "clone", []uint64{start | unix.CLONE_NEWUTS}, false},
		{exec, "clone", []uint64{start | unix.CLONE_PARENT}, false},
		{exec, "pidfd_open", []uint64{1, unix.O_EXCL}, false}, // PIDFD_THREAD
		{pure, "socket", []uint64{unix.AF_INET, unix.SOCK_STREAM, 0}, false},
		{network, "socket", []uint64{unix.AF_INET, unix.SOCK_STREAM, 0}, true},
		{network, "socket", []uint64{unix.AF_UNIX, unix.SOCK_STREAM, 0}, false},
		{network, "socket", []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT}, false},
		{network, "socketpair", []uint64{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC}, true},
		{network, "socketpair", []uint64{unix.AF_UNIX, unix.SOCK_DGRAM | unix.SOCK_CLOEXEC}, false},
		{pure, "sendto", []uint64{3, 0, 1, 0, 0, 0}, true},
		{pure, "sendto", []uint64{3, 0, 1, 0, 0xc000123456, 16}, false},
		{pure, "sendto", []uint64{3, 0, 1, 0, 1 << 32, 16}, false},
	} {
		number, ok := info.SyscallNames[c.name]
		if !ok {
			continue // not of this architecture
		}
		program, err := filter(c.box, false, 1)
		require.NoError(t, err)
		want := denied
		if c.may {
			want = granted
		}
		assert.Equal(t, want, newJudge(t, program).verdict(uint32(info.ID), uint32(number), c.args...), "%s%x in %+v", c.name, c.args, *c.box)
	}
}

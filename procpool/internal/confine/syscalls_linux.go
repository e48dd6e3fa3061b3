package confine

import (
	"fmt"
	"slices"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// What a worker may ask of the kernel. Everything else fails with EPERM: what is not named here is, among others, sockets, namespaces, mounts,
// keys, tracing and memory of other processes, modules, io_uring, bpf, perf, userfaultfd, clocks, changes of priorities, users, owners,
// modes, times and attributes of files, and whatever later kernels add. The runtimes of Go, C and Python do without.
//
// The thread that starts a worker runs under the same list, so it has what a Go program needs to start a process and wait for it.

// allowed are the system calls that need no look at their arguments, those of every moment first. Which files they reach is landlock's.
var allowed = []string{
	"futex", "read", "write", "nanosleep", "epoll_pwait", "clock_gettime", "madvise", "mmap", "munmap", "rt_sigprocmask", "sched_yield",
	"rt_sigreturn", "getpid", "gettid",

	// files and descriptors
	"readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2", "close", "close_range", "creat",
	"access", "faccessat", "faccessat2", "stat", "lstat", "fstat", "newfstatat", "stat64", "lstat64", "fstat64", "fstatat64", "statx", "statfs",
	"fstatfs", "statfs64", "fstatfs64", "lseek", "_llseek", "dup", "dup2", "dup3", "pipe", "pipe2", "poll", "ppoll", "ppoll_time64", "select", "_newselect",
	"pselect6", "pselect6_time64", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait2", "eventfd", "eventfd2", "timerfd_create",
	"timerfd_settime", "timerfd_settime64", "timerfd_gettime", "timerfd_gettime64", "signalfd", "signalfd4", "flock", "fsync",
	"fdatasync", "sync_file_range", "ftruncate", "ftruncate64", "truncate", "truncate64", "fallocate", "fadvise64", "fadvise64_64", "arm_fadvise64_64",
	"readahead", "sendfile", "sendfile64", "copy_file_range", "splice", "tee", "getdents", "getdents64", "getcwd", "chdir", "fchdir", "mkdir", "mkdirat",
	"rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "readlink", "readlinkat", "umask",

	// memory
	"mmap2", "mremap", "mprotect", "msync", "mincore", "mlock", "mlock2", "munlock", "brk", "membarrier", "mseal",

	// threads, signals, time
	"futex_time64", "futex_waitv", "set_robust_list", "rseq", "set_tid_address", "set_tls", "sched_getaffinity", "sched_getparam", "sched_getscheduler",
	"sched_get_priority_max", "sched_get_priority_min", "exit", "exit_group", "arch_prctl", "set_thread_area", "get_thread_area", "rt_sigaction",
	"sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_sigsuspend", "sigaltstack", "pause",
	"restart_syscall", "alarm", "setitimer", "getitimer", "clock_nanosleep", "clock_nanosleep_time64", "clock_gettime64", "clock_getres",
	"clock_getres_time64", "gettimeofday", "time", "times", "timer_create", "timer_settime", "timer_settime64", "timer_gettime", "timer_gettime64",
	"timer_delete", "timer_getoverrun",

	// about itself
	"getppid", "getpgrp", "getpgid", "getsid", "getuid", "geteuid", "getgid", "getegid", "getgroups", "getresuid", "getresgid", "getuid32", "geteuid32",
	"getgid32", "getegid32", "getgroups32", "getresuid32", "getresgid32", "capget", "uname", "sysinfo", "getrusage", "getrandom", "getcpu", "getrlimit",
	"ugetrlimit",

	// its children; which programs is landlock's
	"execve", "wait4", "waitid",
}

// namespaces are the flags of clone that make one. A time namespace cannot be had from clone.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP

// rules are the system calls with a look at their arguments. apart says that landlock keeps signals from whatever is not the worker's, and that the worker never
// runs beside the thread that has started it; cookie is what Cell.Prepare adds to the flags of clone.
func rules(box *Sandbox, apart bool, cookie uint32) (list []rule) {
	const all = ^uint32(0)
	allow := func(name string, alternatives []alternative) {
		list = append(list, rule{name: name, alternatives: alternatives})
	}
	if apart {
		allow("kill", anyhow)
		allow("tgkill", anyhow)
	} else { // none but the one by which Go's scheduler interrupts a thread
		allow("kill", oneOf(1, 0))
		allow("tgkill", oneOf(2, uint32(unix.SIGURG)))
	}
	allow("open", opening(1))
	allow("openat", opening(2))
	for _, name := range []string{"fcntl", "fcntl64"} {
		allow(name, oneOf(1, controls...))
	}
	// of itself: another process of the same user could be crippled with it
	allow("prlimit64", append(limiting(1, alternative{{arg: 0, mask: all}}), alternative{{arg: 0, mask: all}, {arg: 2, mask: all}, {arg: 2, high: true, mask: all}}))
	allow("setrlimit", limiting(0, nil))
	allow("setpgid", []alternative{{{arg: 0, mask: all}, {arg: 1, mask: all}}})                                          // for the start
	allow("ptrace", oneOf(0, append(declining, unix.PTRACE_TRACEME, unix.PTRACE_GETSIGMASK, unix.PTRACE_SETSIGMASK)...)) // for the hold; a worker has nobody to trace
	allow("ioctl", oneOf(1, unix.TCGETS, unix.TIOCGWINSZ, fionread, fionbio, fioclex, fionclex))
	allow("personality", oneOf(0, all)) // which asks
	allow("prctl", oneOf(0, unix.PR_SET_NAME, unix.PR_GET_NAME, unix.PR_SET_VMA, unix.PR_GET_DUMPABLE, unix.PR_SET_PDEATHSIG, unix.PR_GET_PDEATHSIG,
		unix.PR_SET_NO_NEW_PRIVS, unix.PR_GET_NO_NEW_PRIVS, unix.PR_GET_SECCOMP, unix.PR_CAPBSET_READ, unix.PR_GET_THP_DISABLE, unix.PR_SET_THP_DISABLE,
		unix.PR_SET_TIMERSLACK, unix.PR_GET_TIMERSLACK))
	if box.Exec {
		allow("clone", []alternative{{{arg: 0, mask: namespaces | unix.CLONE_PARENT}}}) // CLONE_PARENT would give this program children that it never waits for
		for _, name := range []string{"fork", "vfork"} {
			allow(name, anyhow)
		}
		allow("pidfd_open", oneOf(1, 0, unix.PIDFD_NONBLOCK)) // of processes, and not of a thread
		if apart {
			allow("pidfd_send_signal", anyhow)
		}
	} else {
		list = append(list, forking(cookie))
	}
	if box.Network {
		routes := alternative{{arg: 0, mask: all, value: unix.AF_NETLINK}, {arg: 2, mask: all, value: unix.NETLINK_ROUTE}} // which tell a program its addresses
		allow("socket", append(oneOf(0, unix.AF_INET, unix.AF_INET6), routes))
		for _, name := range []string{
			"connect", "bind", "listen", "accept", "accept4", "getsockname", "getpeername", "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg",
			"recvmmsg", "recvmmsg_time64", "shutdown", "setsockopt", "getsockopt", "send", "recv",
		} {
			allow(name, anyhow)
		}
	}
	// Not of datagrams: who has such a pair can send to any address, and a socket of the machine is a path that landlock does not know.
	allow("socketpair", []alternative{pair(unix.SOCK_STREAM), pair(unix.SOCK_SEQPACKET)})
	if !box.Network { // event loops wake themselves through a pair
		for _, name := range []string{"recvfrom", "shutdown", "getsockopt"} {
			allow(name, anyhow)
		}
		allow("sendto", []alternative{{{arg: 4, mask: all}, {arg: 4, high: true, mask: all}}}) // to its peer, and not to an address
	}
	return list
}

// limiting is to limit any resource but cores, of which there would be some with a smaller limit: see noCore. resource is the argument that names it.
func limiting(resource uint32, besides alternative) (any []alternative) {
	const resources = unix.RLIMIT_RTTIME + 1
	for r := range uint32(resources) {
		if r != unix.RLIMIT_CORE {
			any = append(any, append(slices.Clone(besides), condition{arg: resource, mask: ^uint32(0), value: r}))
		}
	}
	return any
}

// opening is to open a file for reading, for writing, or for both. There is a fourth way, for neither, which landlock takes no notice of: it opens any
// device, and that alone may do something.
func opening(flags uint32) (any []alternative) {
	for _, mode := range []uint32{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR} {
		any = append(any, alternative{{arg: flags, mask: unix.O_ACCMODE, value: mode}})
	}
	return any
}

// pair is a pair of unix sockets of a type.
func pair(kind uint32) alternative {
	const kinds = 0xf // the rest of the argument are flags
	return alternative{{arg: 0, mask: ^uint32(0), value: unix.AF_UNIX}, {arg: 1, mask: kinds, value: kind}}
}

// controls are what may be done by fcntl: all but having signals sent, and larger pipes, of which a user has so many in all that those of the host would get
// smaller.
var controls = []uint32{
	unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL, unix.F_GETLK, unix.F_SETLK, unix.F_SETLKW,
	unix.F_OFD_GETLK, unix.F_OFD_SETLK, unix.F_OFD_SETLKW, unix.F_GETPIPE_SZ, unix.F_ADD_SEALS, unix.F_GET_SEALS,
}

// Of ioctl; they have one value on all the architectures that there is a filter for.
const (
	fionread = 0x541B
	fionbio  = 0x5421
	fionclex = 0x5450
	fioclex  = 0x5451
)

// replaced are those for which there are others that a filter can look into, or that it knows: their arguments lie in memory.
var replaced = []string{"clone3", "openat2", "futex_wait", "futex_wake"}

// filter is the whole, for this architecture. The error says what is missing.
func filter(box *Sandbox, apart bool, cookie uint32) ([]unix.SockFilter, error) {
	here, err := arch.GetInfo("")
	if err != nil {
		return nil, fmt.Errorf("no table of system calls: %w", err)
	}
	var numbers []uint32
	for _, name := range allowed {
		if n, ok := here.SyscallNames[name]; ok { // others have it
			numbers = append(numbers, uint32(n))
		}
	}
	var known []numbered
	for _, r := range rules(box, apart, cookie) {
		if n, ok := here.SyscallNames[r.name]; ok {
			known = append(known, numbered{uint32(n), r})
		}
	}
	absent := []uint32{}
	for _, name := range replaced {
		if n, ok := here.SyscallNames[name]; ok {
			absent = append(absent, uint32(n))
		}
	}
	return assemble(uint32(here.ID), here == arch.X86_64, numbers, known, absent)
}

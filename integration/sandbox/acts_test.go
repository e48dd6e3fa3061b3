//go:build linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// A scene is what an act is told.
type scene struct {
	Act     string
	Host    int    // pid of the host
	Threads []int  // of the host, but its first
	Parent  int    // the process that may be harmed in earnest
	Dir     string // where the test's files are
	Anchor  uint64 // an address in the host
	Signal  int    // to send to it
	TCP     string // where the host listens
	UDP     string
	Unix    string // a path
}

// unseen are acts of which only the host sees what comes of them.
var unseen = map[string]func(scene) error{
	"signal by owner of a pipe": func(s scene) error { return signalByOwner(s.Host, s.Signal) },
	"execute from the arena":    func(scene) error { return fillAndRun(ipc.FDArena) },
	"end a child":               func(scene) error { return endChild() },
}

// attempt does what it should not be able to. It returns why it could not, or "" if it could.
var attempt = futures.NewFunc("sandbox.Attempt", func(_ context.Context, s scene) (string, error) {
	act, ok := acts[s.Act]
	if !ok {
		act, ok = unseen[s.Act]
	}
	if !ok {
		return "", fmt.Errorf("no such act: %s", s.Act)
	}
	if err := act(s); err != nil {
		return err.Error(), nil
	}
	return "", nil
})

// initVar has a worker attempt an act in an initialiser of its package.
const initVar = "SANDBOX_TEST_INIT"

// stay is the act that never ends, whatever becomes of the host.
const stay = "stay"

// early is what became of it.
var early = func() string {
	act := os.Getenv(initVar)
	if act == "" || os.Getenv(ipc.CookieKey) == "" {
		return "nothing was attempted"
	}
	if act == stay {
		signal.Ignore()
		for {
			time.Sleep(time.Hour)
		}
	}
	if err := acts[act](scene{Dir: os.Getenv("DIR"), Host: os.Getppid()}); err != nil {
		return err.Error()
	}
	return ""
}()

// earlier tells it.
var earlier = futures.NewFunc("sandbox.Earlier", func(context.Context, int) (string, error) { return early, nil })

func raw(trap uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	_, _, errno := syscall.Syscall6(trap, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return errno
	}
	return nil
}

func open(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func socket(family, kind, proto int) error {
	fd, err := unix.Socket(family, kind, proto)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func dial(network, address string) error {
	c, err := net.Dial(network, address)
	if err != nil {
		return err
	}
	_, err = c.Write([]byte("stolen"))
	return errors.Join(err, c.Close())
}

func cstring(s string) uintptr { return uintptr(unsafe.Pointer(unsafe.StringData(s + "\x00"))) }

// acts are what hostile workers do. Each must be possible without a sandbox, which the test shows first.
var acts = map[string]func(scene) error{
	// files
	"read a file":                 func(s scene) error { return open("/etc/passwd", unix.O_RDONLY) },
	"read a file of its own user": func(s scene) error { return open(filepath.Join(s.Dir, "secret"), unix.O_RDONLY) },
	"read through a link":         func(s scene) error { return open(filepath.Join(s.Dir, "link"), unix.O_RDONLY) },
	"read through /proc":          func(scene) error { return open("/proc/self/root/etc/passwd", unix.O_RDONLY) },
	"read through another's /proc": func(s scene) error {
		return open(fmt.Sprintf("/proc/%d/root/etc/passwd", s.Host), unix.O_RDONLY)
	},
	"read the host's environment": func(s scene) error { return open(fmt.Sprintf("/proc/%d/environ", s.Host), unix.O_RDONLY) },
	"write the host's memory":     func(s scene) error { return open(fmt.Sprintf("/proc/%d/mem", s.Host), unix.O_RDWR) },
	"see what the host has open": func(s scene) error {
		_, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", s.Host))
		return err
	},
	"open a pipe of the host": func(s scene) error { return toAny(s.Threads, openPipeOf) },
	"list a folder":           func(scene) error { _, err := os.ReadDir("/"); return err },
	"make a file":             func(s scene) error { return open(filepath.Join(s.Dir, "made"), unix.O_CREAT|unix.O_WRONLY) },
	"make a file in /": func(s scene) error {
		return errors.Join(open("/made-by-a-worker", unix.O_CREAT|unix.O_WRONLY), os.Remove("/made-by-a-worker"))
	},
	"append to a file": func(s scene) error { return open(filepath.Join(s.Dir, "secret"), unix.O_APPEND|unix.O_WRONLY) },
	"empty a file":     func(s scene) error { return unix.Truncate(filepath.Join(s.Dir, "victim"), 0) },
	"remove a file":    func(s scene) error { return unix.Unlink(filepath.Join(s.Dir, "victim")) },
	"make a folder":    func(s scene) error { return unix.Mkdir(filepath.Join(s.Dir, "folder"), 0o700) },
	"rename a file":    func(s scene) error { return unix.Rename(filepath.Join(s.Dir, "victim"), filepath.Join(s.Dir, "v2")) },
	"link a file":      func(s scene) error { return unix.Link(filepath.Join(s.Dir, "victim"), filepath.Join(s.Dir, "v2")) },
	"make a symlink":   func(s scene) error { return unix.Symlink("/", filepath.Join(s.Dir, "root")) },
	"make a fifo":      func(s scene) error { return unix.Mkfifo(filepath.Join(s.Dir, "fifo"), 0o600) },
	"make a device":    func(s scene) error { return unix.Mknod(filepath.Join(s.Dir, "dev"), unix.S_IFCHR|0o600, 0x103) },
	"change a mode":    func(s scene) error { return unix.Chmod(filepath.Join(s.Dir, "victim"), 0o777) },
	"change an owner":  func(s scene) error { return unix.Chown(filepath.Join(s.Dir, "victim"), 1, 1) },
	"change a time":    func(s scene) error { return unix.Utimes(filepath.Join(s.Dir, "victim"), make([]unix.Timeval, 2)) },
	"set an attribute": func(s scene) error { return unix.Setxattr(filepath.Join(s.Dir, "victim"), "user.x", []byte("y"), 0) },
	"change the root":  func(s scene) error { return unix.Chroot(s.Dir) },
	"take a terminal":  func(scene) error { return open("/dev/ptmx", unix.O_ACCMODE|unix.O_NOCTTY) }, // neither to read nor to write
	"take a terminal by another call": func(scene) error {
		fd, err := unix.Openat2(unix.AT_FDCWD, "/dev/ptmx", &unix.OpenHow{Flags: unix.O_ACCMODE | unix.O_NOCTTY | unix.O_CLOEXEC})
		return closeFD(fd, err)
	},
	"mount": func(s scene) error {
		return errors.Join(unix.Mount("none", s.Dir, "tmpfs", 0, ""), unix.Unmount(s.Dir, unix.MNT_DETACH))
	},

	// sockets
	"dial tcp":                       func(s scene) error { return dial("tcp", s.TCP) },
	"dial udp":                       func(s scene) error { return dial("udp", s.UDP) },
	"dial unix":                      func(s scene) error { return dial("unix", s.Unix) },
	"dial abstract unix":             func(s scene) error { return dial("unix", "@"+s.Unix) },
	"listen":                         func(scene) error { l, err := net.Listen("tcp", "127.0.0.1:0"); return closed(l, err) },
	"tcp socket":                     func(scene) error { return socket(unix.AF_INET, unix.SOCK_STREAM, 0) },
	"udp socket":                     func(scene) error { return socket(unix.AF_INET, unix.SOCK_DGRAM, 0) },
	"tcp6 socket":                    func(scene) error { return socket(unix.AF_INET6, unix.SOCK_STREAM, 0) },
	"unix socket":                    func(scene) error { return socket(unix.AF_UNIX, unix.SOCK_STREAM, 0) },
	"netlink socket":                 func(scene) error { return socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE) },
	"socket for the kernel's events": func(scene) error { return socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT) },
	"raw socket":                     func(scene) error { return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) },
	"datagram of a pair to an address": func(s scene) error {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err != nil {
			return fmt.Errorf("not this way: %w", err)
		}
		defer unix.Close(pair[0])
		defer unix.Close(pair[1])
		return unix.Sendto(pair[0], []byte("stolen"), 0, &unix.SockaddrUnix{Name: s.Unix + ".gram"})
	},

	// programs and processes
	"execute":          func(scene) error { return exec.Command("/bin/true").Run() },
	"execute in place": func(scene) error { return execInPlace("/bin/true") },
	"execute from memory of its own": func(scene) error {
		fd, err := unix.MemfdCreate("x", 0)
		if err != nil {
			return err
		}
		return fillAndRun(fd)
	},
	"execute what it has written": func(s scene) error {
		program, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			return err
		}
		path := filepath.Join(s.Dir, "program")
		if err := os.WriteFile(path, program, 0o700); err != nil {
			return err
		}
		return startCopy(path, nil)
	},
	"start a copy of itself": func(scene) error {
		return copyOfItself(nil)
	},
	"fork":                    func(scene) error { return fork(0) },
	"fork with a user's room": func(scene) error { return fork(unix.CLONE_NEWUSER | unix.CLONE_NEWUTS) },
	"leave the session":       func(scene) error { return copyOfItself(&syscall.SysProcAttr{Setsid: true}) },
	"give its host a child":   func(scene) error { return sibling() },
	"become a user":           func(scene) error { return raw(unix.SYS_SETUID, 1) },

	// other processes
	"see the host":    func(s scene) error { return unix.Kill(s.Host, 0) },
	"signal the host": func(s scene) error { return unix.Kill(s.Host, unix.SIGURG) },
	"signal a thread of it": func(s scene) error {
		return toAny(s.Threads, func(tid int) error { return unix.Tgkill(s.Host, tid, unix.SIGWINCH) })
	},
	"signal it by a thread": func(s scene) error {
		return toAny(s.Threads, func(tid int) error { return unix.Kill(tid, unix.SIGWINCH) })
	},
	"signal a thread": func(s scene) error {
		return toAny(s.Threads, func(tid int) error { return raw(unix.SYS_TKILL, uintptr(tid), uintptr(unix.SIGWINCH)) })
	},
	"signal a thread by its folder": func(s scene) error {
		return toAny(s.Threads, func(tid int) error {
			fd, err := unix.Open(fmt.Sprintf("/proc/%d", tid), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			return unix.PidfdSendSignal(fd, unix.SIGWINCH, nil, 0)
		})
	},
	"own a pipe in the name of a thread": func(s scene) error { return signalByOwner(s.Threads[0], int(unix.SIGWINCH)) },
	"take of the user's share of pipes":  func(scene) error { return widenPipe() },
	"signal pid 1":                       func(scene) error { return unix.Kill(1, 0) },
	"queue a signal to the host":         func(s scene) error { return queue(s.Host) },
	"signal by descriptor": func(s scene) error {
		fd, err := unix.PidfdOpen(s.Host, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.PidfdSendSignal(fd, unix.SIGURG, nil, 0)
	},
	"trace": func(s scene) error { return trace(s.Parent) },
	"read memory of the host": func(s scene) error {
		local := make([]byte, 8)
		n, err := unix.ProcessVMReadv(s.Host, []unix.Iovec{{Base: &local[0], Len: 8}}, []unix.RemoteIovec{{Base: uintptr(s.Anchor), Len: 8}}, 0)
		if err == nil && n != 8 {
			err = fmt.Errorf("%d bytes", n)
		}
		return err
	},
	"take a descriptor of the host": func(s scene) error {
		fd, err := unix.PidfdOpen(s.Host, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		taken, err := unix.PidfdGetfd(fd, 0, 0)
		if err != nil {
			return err
		}
		return unix.Close(taken)
	},
	"limit the host": func(s scene) error {
		var l unix.Rlimit
		return unix.Prlimit(s.Host, unix.RLIMIT_NOFILE, nil, &l)
	},
	"slow the host":       func(s scene) error { return unix.Setpriority(unix.PRIO_PROCESS, s.Threads[0], 1) },
	"share memory by key": func(scene) error { return raw(unix.SYS_SHMGET, 0, 4096, 0o1600) },
	"new namespaces":      func(scene) error { return onLostThread(func() error { return unix.Unshare(unix.CLONE_NEWUTS) }) },
	"new user namespace":  func(scene) error { return copyOfItself(&syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWUSER}) },
	"name the machine":    func(scene) error { return onLostThread(func() error { return sethostname() }) },

	// the kernel's depths
	"io_uring": func(scene) error {
		var p [120]byte
		return closeFD(raw2(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&p))))
	},
	"bpf":              func(scene) error { return closeFD(bpfMap()) },
	"perf":             func(scene) error { return closeFD(perf()) },
	"keys":             func(scene) error { return raw(unix.SYS_KEYCTL, 0, ^uintptr(1), 1) },
	"inotify":          func(scene) error { return closeFD(raw2(unix.SYS_INOTIFY_INIT1, 0, 0)) },
	"quota of memory":  func(scene) error { return closeFD(raw2(unix.SYS_MEMFD_SECRET, 0, 0)) },
	"memory as a file": func(scene) error { return closeFD(raw2(unix.SYS_MEMFD_CREATE, cstring("x"), 0)) },
	"set the clock":    func(scene) error { var tx unix.Timex; _, err := unix.Adjtimex(&tx); return err },
	"kernel's log":     func(scene) error { _, err := unix.Klogctl(10, nil); return err },
	"clone3":           func(scene) error { return clone3() },
}

// anchor is what workers want to read of the host's memory.
var anchor uint64

func closed(c interface{ Close() error }, err error) error {
	if err != nil {
		return err
	}
	return c.Close()
}

func raw2(trap, a, b uintptr) (int, error) {
	r, _, errno := syscall.Syscall(trap, a, b, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

func closeFD(fd int, err error) error {
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// copyOfItself starts a copy of the worker that ends at once.
func copyOfItself(how *syscall.SysProcAttr) error { return startCopy("/proc/self/exe", how) }

func startCopy(path string, how *syscall.SysProcAttr) error {
	cmd := exec.Command(path)
	cmd.Env = []string{copyVar + "=1"}
	cmd.SysProcAttr = how
	return cmd.Run()
}

// fork starts one with further flags.
func fork(flags uintptr) error {
	how := &syscall.SysProcAttr{Cloneflags: flags}
	if flags&unix.CLONE_NEWUSER != 0 {
		how.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
	}
	return copyOfItself(how)
}

// endChild starts a process and ends it.
func endChild() error {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{copyVar + "=1"}
	if err := cmd.Start(); err != nil {
		return err
	}
	err := cmd.Process.Kill()
	_ = cmd.Wait() // that it was killed is no news
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// sibling starts a process whose parent is this one's parent, which has not asked for it and never waits for it.
func sibling() error {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{copyVar + "=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_PARENT}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// execInPlace replaces this process, in a copy of it if it may have one.
func execInPlace(path string) error {
	return onLostThread(func() error {
		if os.Getenv("NO_SANDBOX") != "" { // it would end the worker: that it can is shown by another act
			return exec.Command(path).Run()
		}
		return unix.Exec(path, []string{path}, nil)
	})
}

// fillAndRun writes a program into memory and executes that.
func fillAndRun(fd int) error {
	text, err := os.ReadFile("/bin/true")
	if err != nil { // in a sandbox there is another
		text = []byte("#!/proc/self/exe\n")
	}
	if _, err := unix.Pwrite(fd, text, 0); err != nil {
		return err
	}
	if err := unix.Access(fmt.Sprintf("/proc/self/fd/%d", fd), unix.X_OK); err != nil {
		return err
	}
	cmd := exec.Command(fmt.Sprintf("/proc/self/fd/%d", fd))
	return cmd.Run()
}

func queue(pid int) error {
	info := [128]byte{}
	*(*int32)(unsafe.Pointer(&info[0])) = int32(unix.SIGURG)
	*(*int32)(unsafe.Pointer(&info[8])) = -1 // SI_QUEUE
	return raw(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(unix.SIGURG), uintptr(unsafe.Pointer(&info)))
}

// widenPipe makes a pipe larger than those that programs have by themselves.
func widenPipe() error {
	var fds [2]int
	if err := unix.Pipe2(fds[:], 0); err != nil {
		return err
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	_, err := unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, 1<<20)
	return err
}

// signalByOwner makes the kernel send a signal to whoever is said to own a pipe. That it was sent the sender does not learn.
func signalByOwner(pid, sig int) error {
	const setSignal = 10 // F_SETSIG
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK); err != nil {
		return err
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	for _, c := range [][2]int{{unix.F_SETOWN, pid}, {setSignal, sig}, {unix.F_SETFL, unix.O_ASYNC | unix.O_NONBLOCK}} {
		if _, err := unix.FcntlInt(uintptr(fds[0]), c[0], c[1]); err != nil {
			return err
		}
	}
	_, err := unix.Write(fds[1], []byte("x"))
	return err
}

func trace(pid int) error {
	return onLostThread(func() error {
		if err := syscall.PtraceAttach(pid); err != nil {
			return err
		}
		var status unix.WaitStatus
		if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != nil {
			return err
		}
		return syscall.PtraceDetach(pid)
	})
}

// onLostThread does on a thread of its own what a thread should not have done.
func onLostThread(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock it
		done <- do()
	}()
	return <-done
}

func sethostname() error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	return unix.Sethostname([]byte(strings.TrimRight(string(name.Nodename[:]), "\x00")))
}

func bpfMap() (int, error) {
	attr := struct{ kind, key, value, entries uint32 }{2, 4, 4, 1}
	r, _, errno := syscall.Syscall(unix.SYS_BPF, 0, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

func perf() (int, error) {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Config: unix.PERF_COUNT_SW_CPU_CLOCK}
	return unix.PerfEventOpen(&attr, 0, -1, -1, 0)
}

// clone3 with a size that is none: whoever may call it hears that, and nothing is started.
func clone3() error {
	err := raw(unix.SYS_CLONE3, 0, 1)
	if errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

func threadsOf(pid int) (tids []int) {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, e := range entries {
		if tid, err := strconv.Atoi(e.Name()); err == nil && tid != pid {
			tids = append(tids, tid)
		}
	}
	return tids
}

// openPipeOf opens a pipe that a thread has open.
func openPipeOf(tid int) error {
	for fd := 3; fd < 64; fd++ {
		path := fmt.Sprintf("/proc/%d/fd/%d", tid, fd)
		to, err := os.Readlink(path)
		if errors.Is(err, os.ErrPermission) {
			return err
		}
		if strings.HasPrefix(to, "pipe:") {
			return open(path, unix.O_RDONLY|unix.O_NONBLOCK)
		}
	}
	return errors.New("it has none")
}

// toAny does something to one after the other, and fails if it fails with all of them: one of the host's threads has started the worker.
func toAny(tids []int, do func(tid int) error) (err error) {
	for _, tid := range tids {
		if err = do(tid); err == nil {
			return nil
		}
	}
	return err
}

package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What landlock knows of files, by the version that has brought it. What a version knows not, it does not restrict.
var accesses = []struct {
	abi    int
	access uint64
}{
	{1, unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM},
	{2, unix.LANDLOCK_ACCESS_FS_REFER},
	{3, unix.LANDLOCK_ACCESS_FS_TRUNCATE},
	{5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV},
}

const (
	readFile  = unix.LANDLOCK_ACCESS_FS_READ_FILE
	readAny   = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	execute   = unix.LANDLOCK_ACCESS_FS_EXECUTE
	writeFile = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE

	// writeAny makes no devices and no sockets, and what is written cannot be executed.
	writeAny = readAny | writeFile | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER

	// ofFile is what a rule for something that is no folder may say.
	ofFile = execute | readFile | writeFile | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// Versions of landlock.
const (
	abiFiles   = 3 // from which files are held completely: without it a file could be emptied that cannot be written
	abiTCP     = 4
	abiSignals = 6
)

// signalErratum is the bit of the erratum that says that threads of one process may signal one another again. Without it a
// runtime that interrupts its threads by signals, as Go's does, is crippled.
const signalErratum = 1 << 1

// landlockVersion is zero without landlock.
func landlockVersion() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// landlockErrata are the errata that the kernel has mended.
func landlockErrata() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_ERRATA)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// rulesetAttr and beneathAttr are the kernel's. Those of x/sys/unix have changed the names of their fields between versions.
type rulesetAttr struct{ files, network, scoped uint64 }

type beneathAttr struct {
	access uint64
	parent int32
}

// A grant is a right at a path.
type grant struct {
	path     string
	access   uint64
	optional bool // the path need not exist
	binary   bool // it must be a binary
}

// ruleset makes a set of rules of which nothing is left but its descriptor.
func ruleset(attr rulesetAttr, grants []grant) (fd int, err error) {
	r, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return -1, fmt.Errorf("landlock: make a ruleset: %w", errno)
	}
	made := int(r)
	unix.CloseOnExec(made)
	for _, g := range grants {
		if err := allow(made, attr.files, g); err != nil && !(g.optional && errors.Is(err, fs.ErrNotExist)) {
			_ = unix.Close(made) // the error that matters is on its way
			return -1, err
		}
	}
	return made, nil
}

// allow adds a rule.
func allow(ruleset int, handled uint64, g grant) error {
	file, err := unix.Open(g.path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: g.path, Err: err}
	}
	defer func() { _ = unix.Close(file) }() // it was never written
	access := g.access & handled
	var st unix.Stat_t
	if err := unix.Fstat(file, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: g.path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= ofFile
	}
	if g.binary {
		if err := binaryAt(file, g.path); err != nil {
			return err
		}
	}
	if access == 0 {
		return nil
	}
	rule := beneathAttr{access: access, parent: int32(file)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return &fs.PathError{Op: "landlock", Path: g.path, Err: errno}
	}
	return nil
}

// restrict holds the calling thread, and no other, to the rules.
func restrict(ruleset int) error {
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset), 0, 0); errno != 0 {
		return os.NewSyscallError("landlock_restrict_self", errno)
	}
	return nil
}

// handled is what version abi knows of files.
func handled(abi int) (all uint64) {
	for _, a := range accesses {
		if a.abi <= abi {
			all |= a.access
		}
	}
	return all
}

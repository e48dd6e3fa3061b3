package confine

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// capable reports whether this program has a capability.
func capable(capability uint) bool {
	_, data, err := capabilities()
	return err == nil && data[capability/32].Effective&(1<<(capability%32)) != 0
}

// capabilities are those of the calling thread.
func capabilities() (header unix.CapUserHeader, data [2]unix.CapUserData, err error) {
	header.Version = unix.LINUX_CAPABILITY_VERSION_3
	err = unix.Capget(&header, &data[0])
	return header, data, err
}

// renounce sees to it that what the calling thread starts gains nothing by its exec, and loses the capabilities that this
// program has: no_new_privs, an empty bounding set, and nothing to inherit. The thread itself keeps its own, so that it can
// execute whatever this program can.
func renounce() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil && err != unix.EINVAL { // before Linux 4.3
		return fmt.Errorf("clear the ambient capabilities: %w", err)
	}
	header, data, err := capabilities()
	if err != nil {
		return fmt.Errorf("read the capabilities: %w", err)
	}
	if data[0].Inheritable|data[1].Inheritable != 0 {
		data[0].Inheritable, data[1].Inheritable = 0, 0
		if err := unix.Capset(&header, &data[0]); err != nil {
			return fmt.Errorf("inherit no capabilities: %w", err)
		}
	}
	if !capable(unix.CAP_SETPCAP) { // then nothing that is executed has capabilities, unless this is root without that one
		return nil
	}
	for c := uintptr(0); ; c++ {
		switch err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err {
		case nil:
		case unix.EINVAL: // there is none of this number
			return nil
		default:
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
}

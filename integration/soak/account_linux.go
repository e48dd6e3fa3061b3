package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// An account is what a soak comes to.
type account struct {
	spells, calls, done, cancelled, kills int
	failed                                map[string]int // by what
	hung, twice, lost, left               int
	rss                                   []int64 // in bytes, after each spell
	troubles                              []string
}

// trouble notes what must not be. A few say as much as many.
func (a *account) trouble(format string, args ...any) {
	const most = 20
	if len(a.troubles) < most {
		a.troubles = append(a.troubles, fmt.Sprintf(format, args...))
	}
}

// growth is how much more memory this process has than it had after the first spells: the median of the last third less that of the first. Spells are
// different, so a few say nothing.
func (a *account) growth() int64 {
	const few = 12
	third := len(a.rss) / 3
	if len(a.rss) < few {
		return 0
	}
	median := func(v []int64) int64 {
		v = slices.Sorted(slices.Values(v))
		return v[len(v)/2]
	}
	return median(a.rss[len(a.rss)-third:]) - median(a.rss[:third])
}

// flat is how much growth is none: what the runtime keeps varies.
const flat = 32 << 20

func (a *account) clean() bool {
	return a.hung+a.twice+a.lost+a.left == 0 && len(a.troubles) == 0 && a.growth() < flat && a.calls > 0
}

// String is the account for a human.
func (a *account) String() string {
	var b strings.Builder
	say := func(format string, args ...any) { b.WriteString(fmt.Sprintf(format, args...)) }
	say("%d spells, %d calls: %d done, %d cancelled", a.spells, a.calls, a.done, a.cancelled)
	for _, how := range slices.Sorted(maps.Keys(a.failed)) {
		say(", %d by %s", a.failed[how], how)
	}
	say("\n%d workers killed; %d calls hung, %d started twice, %d lost; %d things left; memory grew by %d KiB", a.kills, a.hung, a.twice, a.lost, a.left, a.growth()>>10)
	for _, t := range a.troubles {
		say("\n%s", t)
	}
	return b.String()
}

// remains are the descriptors that there are. Of everything else there must be nothing.
type remains struct{ fds int }

func look() remains {
	entries, _ := os.ReadDir("/proc/self/fd") // there is one on Linux
	return remains{fds: len(entries)}
}

// inspect counts what a spell has left behind. The folder for temporary entries is the soak's own.
func (a *account) inspect(before remains) {
	for _, pid := range children() {
		if !ends(pid) {
			a.left++
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // for a human
			a.trouble("process %d is left: %q", pid, name)
		}
	}
	for began := time.Now(); look().fds > before.fds; time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Second {
			a.left += look().fds - before.fds
			a.trouble("descriptors are left: %d, there were %d", look().fds, before.fds)
			break
		}
	}
	if entries, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(entries) > 0 {
		a.left += len(entries)
		a.trouble("temporary entries are left: %v", entries)
	}
	if maps, _ := os.ReadFile("/proc/self/maps"); bytes.Contains(maps, []byte("memfd:concurrent")) {
		a.left++
		a.trouble("shared memory is left")
	}
	debug.FreeOSMemory()
	statm, _ := os.ReadFile("/proc/self/statm")
	if fields := strings.Fields(string(statm)); len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		a.rss = append(a.rss, pages*int64(os.Getpagesize()))
	}
}

func children() (pids []int) {
	lists, _ := filepath.Glob("/proc/self/task/*/children") // the pattern is good
	for _, list := range lists {
		text, _ := os.ReadFile(list) // of a thread that may have ended
		for f := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(f); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// ends waits a moment for a process whose group was killed.
func ends(pid int) bool {
	for range 2000 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		_, after, _ := strings.Cut(string(stat), ") ")
		if err != nil || strings.HasPrefix(after, "Z") {
			var status syscall.WaitStatus
			_, _ = syscall.Wait4(pid, &status, syscall.WNOHANG, nil) // an orphan: nobody else waits for it
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

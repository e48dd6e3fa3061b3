package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A System is what was measured on.
type System struct {
	Cores   int
	CPU     string
	Virtual bool
	Memory  string
	OS      string
	Kernel  string
	Go      string
	Python  string
	Date    string
	Load    string // of the last minute, before the first measure
}

// busy reports whether others want a good part of the machine. Building the children leaves some load behind.
func (s System) busy() bool {
	load, err := strconv.ParseFloat(s.Load, 64)
	return err == nil && load > float64(s.Cores)
}

const unknown = "unknown"

func describeSystem(python *CPython) System {
	info := read("/proc/cpuinfo")
	s := System{
		Cores:   runtime.GOMAXPROCS(0),
		CPU:     field(info, "model name"),
		Virtual: strings.Contains(field(info, "flags"), "hypervisor"),
		Memory:  unknown,
		OS:      runtime.GOOS + "/" + runtime.GOARCH,
		Kernel:  strings.TrimSpace(read("/proc/sys/kernel/osrelease")),
		Go:      runtime.Version(),
		Python:  "none",
		Date:    time.Now().UTC().Format(time.DateOnly),
		Load:    unknown,
	}
	if kib := kibibytes("MemTotal"); kib > 0 {
		s.Memory = strconv.FormatUint(kib>>20, 10) + " GiB"
	}
	if load := strings.Fields(read("/proc/loadavg")); len(load) > 0 {
		s.Load = load[0]
	}
	if s.Kernel == "" {
		s.Kernel = unknown
	}
	if python != nil {
		s.Python = python.version
	}
	return s
}

// available is how many bytes of memory could be used; 0 if that is not known.
func available() uint64 { return kibibytes("MemAvailable") << 10 }

func kibibytes(name string) uint64 {
	text, _, _ := strings.Cut(field(read("/proc/meminfo"), name), " ")
	kib, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return kib
}

// read is what a file says; nothing where there is no such file.
func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}

// field is what follows the first "name:".
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return unknown
}

package confine

import (
	"bufio"
	"debug/elf"
	"errors"
	"os"
	"strings"
)

// grants are what a worker in the box can reach: its program, which it may execute and read; what every runtime asks for; and what
// the box says.
func grants(box *Sandbox, program string) []grant {
	list := []grant{
		{path: program, access: execute | readFile},
		{path: "/dev/null", access: readFile | writeFile, optional: true},
		{path: "/dev/zero", access: readFile, optional: true},
		{path: "/dev/random", access: readFile, optional: true},
		{path: "/dev/urandom", access: readFile, optional: true},
		{path: "/etc/localtime", access: readFile, optional: true},
		{path: "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", access: readFile, optional: true}, // Go's heap
		{path: "/sys/devices/system/cpu/online", access: readFile, optional: true},                     // C's count of processors
	}
	if loader := interpreter(program); loader != "" {
		list = append(list, grant{path: loader, access: execute | readFile})
		for _, libraries := range []string{"/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32", "/usr/local/lib"} {
			list = append(list, grant{path: libraries, access: readAny, optional: true})
		}
		list = append(list, grant{path: "/etc/ld.so.cache", access: readFile, optional: true})
	}
	read, write := uint64(readAny), uint64(writeAny)
	if box.Exec {
		read |= execute
	}
	for _, path := range box.Read {
		list = append(list, grant{path: path, access: read})
	}
	for _, path := range box.Write {
		list = append(list, grant{path: path, access: write})
	}
	return list
}

// interpreter is what the kernel loads to run a program: its dynamic loader, or what a script names in its first line. Empty if it needs none, or
// cannot be read: its start will say why.
func interpreter(program string) string {
	if f, err := elf.Open(program); err == nil {
		defer func() { _ = f.Close() }() // it was never written
		for _, p := range f.Progs {
			if p.Type != elf.PT_INTERP || p.Filesz > 4096 {
				continue
			}
			name := make([]byte, p.Filesz)
			if _, err := p.ReadAt(name, 0); err == nil {
				return strings.TrimRight(string(name), "\x00")
			}
		}
		return ""
	}
	f, err := os.Open(program)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // it was never written
	line, err := bufio.NewReaderSize(f, 256).ReadSlice('\n')
	if fields := strings.Fields(strings.TrimPrefix(string(line), "#!")); (err == nil || errors.Is(err, bufio.ErrBufferFull)) && strings.HasPrefix(string(line), "#!") && len(fields) > 0 {
		return fields[0]
	}
	return ""
}

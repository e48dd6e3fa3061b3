package confine

import (
	"bufio"
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// grants are what a worker in the box can reach: its program, which it may execute and read; what every runtime asks for; and what
// the box says.
func grants(r Request) []grant {
	box := r.Sandbox
	list := []grant{
		{path: "/dev/null", access: readFile | writeFile, optional: true},
		{path: "/dev/zero", access: readFile, optional: true},
		{path: "/dev/random", access: readFile, optional: true},
		{path: "/dev/urandom", access: readFile, optional: true},
		{path: "/etc/localtime", access: readFile, optional: true},
		{path: "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", access: readFile, optional: true}, // Go's heap
		{path: "/sys/devices/system/cpu/online", access: readFile, optional: true},                     // C's count of processors
	}
	executed := programs(r.Program, r.Path)
	for _, path := range executed {
		list = append(list, grant{path: path, access: execute | readFile})
	}
	if len(executed) > 1 {
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

// programs are what is executed to run a program, itself first: the dynamic loader that it names, or the interpreter that a script names, and what that
// names in turn. path is where the worker looks programs up.
func programs(program, path string) (list []string) {
	const most = 10 // and the kernel gives up before
	for next := []string{program}; len(next) > 0 && len(list) < most; {
		program, next = next[0], next[1:]
		list = append(list, program)
		if f, err := elf.Open(program); err == nil {
			if loader := loaderOf(f); loader != "" {
				list = append(list, loader)
			}
			_ = f.Close() // it was never written
			continue
		}
		words := firstLine(program)
		if len(words) > 0 {
			next = append(next, words[0])
		}
		if len(words) == 2 && filepath.Base(words[0]) == "env" { // which executes the other one
			if found := find(words[1], path); found != "" {
				next = append(next, found)
			}
		}
	}
	return list
}

// loaderOf is the dynamic loader that a program names; empty if it needs none.
func loaderOf(f *elf.File) string {
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

// firstLine are the words with which a script names its interpreter. None if it is no script, or cannot be read: its start will say why.
func firstLine(program string) []string {
	f, err := os.Open(program)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // it was never written
	line, err := bufio.NewReaderSize(f, 256).ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return nil
	}
	names, ok := strings.CutPrefix(string(line), "#!")
	if !ok {
		return nil
	}
	return strings.Fields(names)
}

// find looks a program up as env does; empty if it is not there.
func find(name, path string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); filepath.IsAbs(dir) && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file
		}
	}
	return ""
}

package confine

// grants are what a worker in the box can reach: its program, which it may execute and read, and what the kernel executes to run that; what every runtime asks
// for; and what the box says.
func grants(r Request) ([]grant, error) {
	box := r.Sandbox
	list := []grant{
		{path: "/dev/null", access: readFile | writeFile, optional: true},
		{path: "/dev/zero", access: readFile, optional: true},
		{path: "/dev/random", access: readFile, optional: true},
		{path: "/dev/urandom", access: readFile, optional: true},
		{path: "/etc/localtime", access: readFile, optional: true},
		{path: "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", access: readFile, optional: true}, // Go's heap
		{path: "/sys/devices/system/cpu/online", access: readFile, optional: true},                     // C's count of processors
		{path: r.Program, access: execute | readFile},
	}
	named, err := interpreters(r.Program, r.Path)
	if err != nil && !box.Exec { // what that lets be executed is not to be found out here
		return nil, err
	}
	for _, path := range named {
		list = append(list, grant{path: path, access: execute | readFile, binary: true})
	}
	if len(named) > 0 {
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
	return list, nil
}

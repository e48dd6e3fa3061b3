// Package integration holds what concerns the tree as a whole; its folders test the packages together.
package integration

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/seed7d1be1d5/concurrent/"

// mayImport lists, for each package that others build on, what it may import besides the standard library, directly and
// through others. Everything else is a leaf.
var mayImport = map[string][]string{
	"futures":           {},
	"internal/harmless": {},
	"internal/workers":  {module + "futures"},
	"ipc":               {module + "futures", "github.com/vmihailenco/"},
	"worker":            {module + "futures", module + "ipc", "github.com/vmihailenco/"},
	"worker/starlark": {
		module + "worker", module + "futures", module + "ipc", "github.com/vmihailenco/", "go.starlark.net/", "golang.org/x/sys",
	},
	"threadpool": {module + "futures", module + "internal/workers"},
	"pooltest":   {module + "futures", module + "ipc", "github.com/vmihailenco/", "golang.org/x/sys/"},
	"interpreters": {
		module + "futures", module + "internal/workers", module + "ipc", "github.com/vmihailenco/", "github.com/tetratelabs/wazero",
		"golang.org/x/sys/", // of wazero
	},
	"procpool": {
		module + "futures", module + "ipc", module + "internal/harmless", "github.com/vmihailenco/", "github.com/hashicorp/", "golang.org/x/",
		"google.golang.org/", "github.com/golang/protobuf/", "github.com/oklog/run", "github.com/fatih/color", "github.com/mattn/", // of go-plugin
		"github.com/elastic/go-seccomp-bpf/arch", "github.com/containerd/", "github.com/opencontainers/runtime-spec/",
		"github.com/cilium/ebpf", "github.com/coreos/go-systemd/", "github.com/docker/go-units", "github.com/godbus/dbus/", "github.com/moby/sys/", "github.com/sirupsen/logrus", // of cgroups
	},
}

func TestLayersPointOneWay(t *testing.T) {
	for name, allowed := range mayImport {
		t.Run(name, func(t *testing.T) {
			for _, dep := range dependencies(t, module+name) {
				if dep == module+name || strings.HasPrefix(dep, module+name+"/internal") {
					continue
				}
				ok := false
				for _, prefix := range allowed {
					ok = ok || strings.HasPrefix(dep, prefix)
				}
				assert.Truef(t, ok, "%s must not import %s", name, dep)
			}
		})
	}
}

// Whoever hands ipc its readers, writers and memory owns the goroutines.
func TestIPCHasNoGoStatement(t *testing.T) {
	files, err := filepath.Glob("../ipc/*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			_, found := n.(*ast.GoStmt)
			assert.False(t, found, "a go statement in %s", file)
			return true
		})
	}
}

// dependencies lists what a package needs outside the standard library.
func dependencies(t *testing.T, pkg string) []string {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", pkg).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return strings.Fields(string(out))
}

package meter

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// wazeroSources is the folder of wazero's module: it comes with the specification's tests, compiled.
func wazeroSources(t *testing.T) string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

func files(t *testing.T, pattern ...string) []string {
	found, err := filepath.Glob(filepath.Join(append([]string{wazeroSources(t)}, pattern...)...))
	require.NoError(t, err)
	require.NotEmpty(t, found)
	return found
}

// Whatever wazero compiles of the specification's modules is rewritten, and whatever it refuses is not made valid.
func TestModulesOfTheSpecification(t *testing.T) {
	rewritten := 0
	for _, version := range []string{"v1", "v2"} {
		for _, file := range files(t, "internal", "integration_test", "spectest", version, "testdata", "*.wasm") {
			wasm, err := os.ReadFile(file)
			require.NoError(t, err)
			checkRewrite(t, wasm)
			if _, err := Rewrite(wasm, Options{}); err == nil {
				rewritten++
			} else {
				require.Error(t, compiles(wasm), "%s: %v", file, err)
			}
		}
	}
	require.Greater(t, rewritten, 2000)
}

// A value of the specification's tests: a number, or the lanes of a vector.
type specValue struct {
	Type     string          `json:"type"`
	LaneType string          `json:"lane_type"`
	Value    json.RawMessage `json:"value"`
}

type specCommand struct {
	Type     string `json:"type"`
	Filename string `json:"filename"`
	Action   struct {
		Type   string      `json:"type"`
		Module string      `json:"module"`
		Field  string      `json:"field"`
		Args   []specValue `json:"args"`
	} `json:"action"`
}

// stack is the value as wazero takes it.
func (v specValue) stack(t *testing.T) []uint64 {
	if v.Type != "v128" {
		var text string
		require.NoError(t, json.Unmarshal(v.Value, &text))
		if text == "null" {
			return []uint64{0}
		}
		n, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		return []uint64{n}
	}
	var lanes []string
	require.NoError(t, json.Unmarshal(v.Value, &lanes))
	out, bits := make([]uint64, 2), 128/len(lanes)
	for i, lane := range lanes {
		n, err := strconv.ParseUint(lane, 10, 64)
		require.NoError(t, err)
		out[i*bits/64] |= n << (i * bits % 64)
	}
	return out
}

// The specification's tests compute and trap with metering as they do without, call by call.
func TestTheSpecificationsTestsRunTheSame(t *testing.T) {
	ctx := context.Background()
	spectest, err := os.ReadFile(files(t, "internal", "integration_test", "spectest", "testdata", "spectest.wasm")[0])
	require.NoError(t, err)
	calls, ticks := 0, 0
	for _, file := range files(t, "internal", "integration_test", "spectest", "v2", "testdata", "*.json") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var script struct {
			Commands []specCommand `json:"commands"`
		}
		require.NoError(t, json.Unmarshal(text, &script), file)
		var runtimes [2]wazero.Runtime // plain, metered
		for i := range runtimes {
			runtimes[i] = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
			_, err := runtimes[i].InstantiateWithConfig(ctx, spectest, wazero.NewModuleConfig())
			require.NoError(t, err)
			_, err = runtimes[i].NewHostModuleBuilder(ImportModule).NewFunctionBuilder().WithFunc(func() { ticks++ }).Export(ImportName).Instantiate(ctx)
			require.NoError(t, err)
		}
		var modules [2]api.Module
		for n, c := range script.Commands {
			switch c.Type {
			case "module":
				wasm, err := os.ReadFile(filepath.Join(filepath.Dir(file), c.Filename))
				require.NoError(t, err)
				metered, err := Rewrite(wasm, Options{Every: 1000})
				require.NoError(t, err, "%s: %s", file, c.Filename)
				var errs [2]error
				for i, b := range [][]byte{wasm, metered} {
					modules[i], errs[i] = runtimes[i].InstantiateWithConfig(ctx, b, wazero.NewModuleConfig().WithName("").WithStartFunctions())
				}
				require.Equal(t, firstLine(errs[0]), firstLine(errs[1]), "%s: %s", file, c.Filename)
			case "assert_return", "assert_trap", "action":
				if modules[0] == nil || c.Action.Type != "invoke" || c.Action.Module != "" {
					continue // it imports from another test, or is one
				}
				var args []uint64
				for _, v := range c.Action.Args {
					args = append(args, v.stack(t)...)
				}
				var results [2][]uint64
				var errs [2]error
				for i, m := range modules {
					f := m.ExportedFunction(c.Action.Field)
					require.NotNil(t, f)
					results[i], errs[i] = f.Call(ctx, args...)
					for k, kind := range f.Definition().ResultTypes() {
						if kind == funcref && errs[i] == nil && results[i][k] != 0 {
							results[i][k] = 1 // an address
						}
					}
				}
				require.Equal(t, firstLine(errs[0]), firstLine(errs[1]), "%s: command %d", file, n)
				require.Equal(t, results[0], results[1], "%s: command %d", file, n)
				calls++
			}
		}
		for _, r := range runtimes {
			require.NoError(t, r.Close(ctx))
		}
	}
	t.Logf("%d calls, %d ticks", calls, ticks)
	require.Greater(t, calls, 30_000)
	require.Greater(t, ticks, 1000)
}

// firstLine leaves out the stack: functions have other numbers.
func firstLine(err error) string {
	if err == nil {
		return ""
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// Programs of other languages' compilers, which do not know the host function, are metered as well.
func TestForeignProgramsRunTheSame(t *testing.T) {
	for _, file := range files(t, "imports", "wasi_snapshot_preview1", "example", "testdata", "*", "cat.wasm") {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			wasm, err := os.ReadFile(file)
			require.NoError(t, err)
			metered, err := Rewrite(wasm, Options{Every: 100})
			require.NoError(t, err)
			text := strings.Repeat("all that is in a file\n", 1000)
			var out bytes.Buffer
			g, err := start(t, metered, nil)
			require.NoError(t, err)
			_, err = g.runtime.InstantiateWithConfig(context.Background(), metered, wazero.NewModuleConfig().WithName("").WithStdout(&out).WithArgs("cat", "text").
				WithFS(fstest.MapFS{"text": {Data: []byte(text)}}))
			var exit *sys.ExitError
			if err != nil {
				require.ErrorAs(t, err, &exit)
				require.Zero(t, exit.ExitCode())
			}
			require.Equal(t, text, out.String())
			require.Greater(t, g.ticks, uint64(10))
		})
	}
}

package ipc

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests hold PROTOCOL.md against the code: every constant, every example of bytes, every fingerprint and every code.

// document reads PROTOCOL.md.
func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "PROTOCOL.md"))
	require.NoError(t, err)
	return string(text)
}

// docTable finds the table whose first heading is first. Cells come without their backquotes.
func docTable(t *testing.T, first string) (rows [][]string) {
	t.Helper()
	_, text, found := strings.Cut(document(t), "\n| "+first+" |")
	require.True(t, found, "PROTOCOL.md has no table that begins with %q", first)
	_, text, _ = strings.Cut(text, "\n|---") // the rest of the headings
	for i, line := range strings.Split(text, "\n") {
		if i == 0 {
			continue // the rest of the rule
		}
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		for i := range cells {
			cells[i] = strings.ReplaceAll(strings.Trim(strings.TrimSpace(cells[i]), "`"), `\|`, "|")
		}
		rows = append(rows, cells)
	}
	require.NotEmpty(t, rows, "the table that begins with %q is empty", first)
	return rows
}

// constants evaluates the constants of this package. What it imports is not needed for that.
func constants(t *testing.T) map[string]constant.Value {
	t.Helper()
	files := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var parsed []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		parsed = append(parsed, f)
	}
	config := types.Config{IgnoreFuncBodies: true, FakeImportC: true, Error: func(error) {}, Importer: noImports{}}
	pkg, _ := config.Check("ipc", files, parsed, nil) // the errors are those of the imports
	values := map[string]constant.Value{}
	for _, name := range pkg.Scope().Names() {
		if c, ok := pkg.Scope().Lookup(name).(*types.Const); ok {
			values[name] = c.Val()
		}
	}
	return values
}

type noImports struct{}

func (noImports) Import(path string) (*types.Package, error) {
	return nil, fmt.Errorf("%s is not needed", path)
}

func TestDocumentHasEveryConstant(t *testing.T) {
	values := constants(t)
	require.Equal(t, "hello", constant.StringVal(values["Hello"]), "constants are found")
	told := map[string]bool{}
	for _, row := range docTable(t, "in ipc") {
		name, text := row[0], row[1]
		value, ok := values[name]
		if !assert.True(t, ok, "PROTOCOL.md speaks of %s, which is no constant of package ipc", name) {
			continue
		}
		want := value.ExactString()
		if value.Kind() == constant.String {
			want = constant.StringVal(value)
		}
		assert.Equal(t, want, text, "%s in PROTOCOL.md", name)
		told[name] = true
	}
	for name := range values {
		if ast.IsExported(name) {
			assert.True(t, told[name], "PROTOCOL.md does not tell the constant %s", name)
		}
	}
}

func TestDocumentExplainsEveryKindAndFeature(t *testing.T) {
	for prefix, heading := range map[string]string{"Failed": "kind of failure", "Feature": "feature"} {
		var want, got []string
		for name, value := range constants(t) {
			if strings.HasPrefix(name, prefix) {
				want = append(want, constant.StringVal(value))
			}
		}
		for _, row := range docTable(t, heading) {
			got = append(got, row[0])
		}
		assert.ElementsMatch(t, want, got, heading)
	}
}

var example = regexp.MustCompile("(?ms)^```hex ([a-z -]+)\n(.*?)^```$")

// examples finds the blocks of bytes in the document. What follows two spaces on a line is a comment.
func examples(t *testing.T) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for _, m := range example.FindAllStringSubmatch(document(t), -1) {
		var digits strings.Builder
		for _, line := range strings.Split(m[2], "\n") {
			code, _, _ := strings.Cut(strings.TrimSpace(line), "  ")
			digits.WriteString(strings.ReplaceAll(code, " ", ""))
		}
		b, err := hex.DecodeString(digits.String())
		require.NoError(t, err, "example %q", m[1])
		require.NotContains(t, found, m[1], "two examples of one name")
		found[m[1]] = b
	}
	return found
}

func TestDocumentHasTheBytesOfEveryMessage(t *testing.T) {
	answer := 42
	result, err := AppendResult(nil, 1, &answer, MaxBody)
	require.NoError(t, err)
	welcome := WelcomeParam{Protocol: Version, MaxBody: MaxBody, MaxResult: MaxBody}
	claims := WelcomeParam{Protocol: Version, Features: []string{FeatureCancel, FeatureClaims}, MaxBody: MaxBody, MaxResult: 1 << 20, Slots: 1024}
	want := map[string][]byte{
		"frame": []byte("\xc1cf\x01\x00\x00\x00\x02\x91\x07"),
		"hello": AppendNotification(nil, Hello, HelloParam{
			Protocol: Version, PID: 4242, Build: "demo 1.0", Features: []string{}, Functions: []Function{{"demo.Double", "int", "int"}},
		}),
		"welcome":             AppendNotification(nil, Welcome, welcome),
		"welcome with claims": AppendNotification(nil, Welcome, claims),
		"grease":              AppendNotification(nil, "grease", nil),
		"initializer":         AppendRequest(nil, InitializerID, "demo.Open", Meta{}, []byte{0x03}),
		"request":             AppendRequest(nil, 1, "demo.Double", Meta{}, []byte{0x15}),
		"request with meta":   AppendRequest(nil, 300, "demo.Double", Meta{Timeout: 1_500_000_000, Deadline: 1_800_000_000_000_000_000, Attempt: 2}, []byte{0x15}),
		"chunk":               append(AppendChunkHead(nil, 7, "demo.Double", Meta{}, 3, 3), 0x15, 0x16, 0x17),
		"placed request":      AppendPlacedRequest(nil, 1, "demo.Double", Meta{}, Place{4096, 65536}),
		"placed response":     AppendPlacedResult(nil, 1, Place{4096 + 32<<20, 65536}),
		"result":              result,
		"failure":             AppendFailure(nil, 1, Failure{Kind: FailedTask, Type: "OSError", Message: "no such file", Stack: "at line 7", Codes: []string{"fs.ErrNotExist"}}),
		"withdrawn":           AppendFailure(nil, 2, Failure{Kind: FailedWithdrawn}),
		"ready":               AppendNotification(nil, Ready, nil),
		"cancel":              AppendNotification(nil, Cancel, CancelParam{ID: 1, Reason: ReasonTimeout}),
	}
	got := examples(t)
	for name, b := range want {
		assert.Equal(t, hex.EncodeToString(b), hex.EncodeToString(got[name]), "example %q", name)
	}
	for name, b := range got {
		assert.Contains(t, want, name, "an example that no test holds")
		if name == "frame" {
			continue
		}
		r := NewReader(bytes.NewReader(b), MaxBody)
		body, err := r.Next()
		require.NoError(t, err, "example %q", name)
		_, err = ParseMessage(body)
		require.NoError(t, err, "example %q", name)
		_, err = r.Next()
		require.Equal(t, io.EOF, err, "example %q", name)
	}
}

func TestDocumentHasTheNamesOfEveryField(t *testing.T) {
	text := document(t)
	for _, v := range []any{Meta{}, HelloParam{}, Function{}, WelcomeParam{}, CancelParam{}, Failure{}} {
		for f := range reflect.TypeOf(v).Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
			assert.Contains(t, text, "| `"+name+"` |", "PROTOCOL.md has no row for %T.%s", v, f.Name)
		}
	}
}

type docRecord struct {
	X int
	Y string `msgpack:"y"`
	Z *int
}

func TestDocumentHasTheValuesAsTheyTravel(t *testing.T) {
	text, seven := "hi", 7
	var none *int
	want := map[string]any{}
	for name, v := range map[string]any{
		"true": new(true), "int 7": &seven, "int -5": new(-5), "uint16 300": new(uint16(300)), "float64 1.5": new(1.5), "float32 1.5": new(float32(1.5)),
		`string "hi"`: &text, `[]byte("hi")`: new([]byte(text)), "[]byte(nil)": new([]byte(nil)), "[3]byte{1, 2, 3}": &[3]byte{1, 2, 3},
		"[]int{1, 2}": &[]int{1, 2}, "[]int(nil)": new([]int(nil)), `map[string]int{"a": 1}`: &map[string]int{"a": 1},
		`struct{X int; Y string "y"; Z *int}{1, "hi", nil}`: &docRecord{1, text, nil}, "struct{}{}": &struct{}{},
		"*int, nil": &none, "*int to 7": new(&seven), "time.Second": new(time.Second), "time.Unix(1, 0)": new(time.Unix(1, 0)),
		"time.Unix(1, 5)": new(time.Unix(1, 5)), "error, text hi": new(fmt.Errorf("hi")),
	} {
		b, err := AppendValue(nil, v)
		require.NoError(t, err)
		want[name] = fmt.Sprintf("% x", b)
	}
	got := map[string]any{}
	for _, row := range docTable(t, "Go value") {
		got[row[0]] = row[1]
	}
	assert.Equal(t, want, got)
}

func TestDocumentHasTheFingerprints(t *testing.T) {
	want := map[string]string{}
	for name, v := range map[string]reflect.Type{
		"int": reflect.TypeFor[int](), "any": reflect.TypeFor[any](), "error": reflect.TypeFor[error](), "[]uint8": reflect.TypeFor[[]uint8](),
		"[4]int": reflect.TypeFor[[4]int](), "map[string][]float64": reflect.TypeFor[map[string][]float64](), "*string": reflect.TypeFor[*string](),
		"time.Duration": reflect.TypeFor[time.Duration](), "time.Time": reflect.TypeFor[time.Time](), "struct{}": reflect.TypeFor[struct{}](),
		`struct{X int; Y string "y"; Z *int}`: reflect.TypeFor[docRecord](),
	} {
		want[name] = Fingerprint(v)
	}
	got := map[string]string{}
	for _, row := range docTable(t, "Go type") {
		got[row[0]] = row[1]
	}
	assert.Equal(t, want, got)
}

func TestDocumentHasEveryCode(t *testing.T) {
	var want, got []string
	for _, s := range knownSentinels() {
		if !strings.Contains(s.code, "_test.") { // registered by another test
			want = append(want, s.code)
		}
	}
	for _, row := range docTable(t, "code") {
		got = append(got, row[0])
	}
	assert.Equal(t, want, got)
}

func TestDocumentHasTheClaimWords(t *testing.T) {
	for _, row := range docTable(t, "claim") {
		var state ClaimState
		for state < ClaimUnknown && state.String() != row[0] {
			state++
		}
		assert.Equal(t, fmt.Sprint(uint8(state)), row[1], "the number of %s", row[0])
		assert.Equal(t, fmt.Sprint(word(5, state)), row[2], "the word of call 5, %s", row[0])
	}
	assert.Len(t, docTable(t, "claim"), int(ClaimUnknown))
}

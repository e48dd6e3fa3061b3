package starlark

import (
	"strings"
	"testing"

	"go.starlark.net/starlark"
)

// Whatever Starlark takes by itself is taken when it is rewritten, and nothing else is.
func FuzzCompile(f *testing.F) {
	for _, code := range []string{
		"x = 1", "x, (y, [z]) = w", "(x) += 1", "x.y = 1", "x[0] -= 1", "x += y", "[] = 1", "() = 1", "x + 1 = 2", "f() += 1", "x, y += 1", "None = 1",
		"for i, j in x:\n  if i:\n    break\n  else:\n    continue", "while x:\n  def f(a, *, b=c, **d):\n    return lambda: (a, f)\n", "def f(): pass\ndef f(): pass",
		"def f(f): f = f", "def f():\n  load('m', 'x')", "load('m', 'x')\nx = 1", "return", "pass", "[x for x in y if x]", "{x: y for x, y in z}", "def", "if x: pass\nelif y: z = 1",
	} {
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code string) {
		if strings.Contains(code, "\x00") {
			return // refused here, and an end for Starlark
		}
		file, err := options.Parse(fileName, code, 0)
		if err == nil {
			_, err = starlark.FileProgram(file, func(name string) bool { return !starlark.Universe.Has(name) })
		}
		if _, ours := newMachine(nil, nil).compile(code); (err == nil) != (ours == nil) {
			t.Fatalf("Starlark says %v, and after it was rewritten %v", err, ours)
		}
	})
}

package starlark

import (
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Starlark gives every file globals of its own, which nothing outside can bind again: a function made by one Exec would never see what
// another one binds. So the main namespace is what Starlark calls predeclared, which is looked up by name each time, and what binds
// names at the top level is rewritten to set attributes of mainNamespace:
//
//	x, y = e            main.x, main.y = e
//	for x in e: ...     for main.x in e: ...
//	def f(...): ...     main.f = (a function that makes f and returns it)()
//
// where main stands for mainName, which no script can spell.
const mainName = "(main)"

// mainNamespace is the value of mainName.
type mainNamespace struct{ names starlark.StringDict }

func (mainNamespace) String() string        { return mainName }
func (mainNamespace) Type() string          { return "namespace" }
func (mainNamespace) Freeze()               {}
func (mainNamespace) Truth() starlark.Bool  { return true }
func (mainNamespace) Hash() (uint32, error) { return 0, nil }

// Attr is for x += e, which reads x.
func (n mainNamespace) Attr(name string) (starlark.Value, error) {
	if v, ok := n.names[name]; ok {
		return v, nil
	}
	return nil, notDefined(name)
}

func (n mainNamespace) AttrNames() []string { return nil }

func (n mainNamespace) SetField(name string, v starlark.Value) error {
	n.names[name] = v
	return nil
}

// compile makes a program out of code. Names that are bound nowhere are found missing when they are used.
func (m *machine) compile(code string) (*starlark.Program, error) {
	if strings.ContainsRune(code, 0) {
		return nil, syntax.Error{Msg: "source code cannot contain null bytes"} // Starlark takes one for the end
	}
	file, err := options.Parse(fileName, code, 0)
	if err != nil {
		return nil, err
	}
	t := toplevel{bound: map[string]bool{}}
	file.Stmts = t.stmts(file.Stmts)
	inMain := func(name string) bool {
		return t.bound[name] || m.names.Has(name) || !starlark.Universe.Has(name)
	}
	program, err := starlark.FileProgram(file, inMain)
	if err != nil {
		return nil, err
	}
	for name := range t.bound {
		if builtin, ok := starlark.Universe[name]; ok && !m.names.Has(name) {
			m.names[name] = builtin // until the script comes to bind it
		}
	}
	return program, nil
}

// toplevel rewrites statements of the top level.
type toplevel struct{ bound map[string]bool }

func (t toplevel) stmts(list []syntax.Stmt) []syntax.Stmt {
	var rewritten []syntax.Stmt
	for _, stmt := range list {
		switch stmt := stmt.(type) {
		case *syntax.AssignStmt:
			stmt.LHS = t.target(stmt.LHS)
		case *syntax.ForStmt:
			stmt.Vars = t.target(stmt.Vars)
			stmt.Body = t.stmts(stmt.Body)
		case *syntax.WhileStmt:
			stmt.Body = t.stmts(stmt.Body)
		case *syntax.IfStmt:
			stmt.True = t.stmts(stmt.True)
			stmt.False = t.stmts(stmt.False)
		case *syntax.DefStmt:
			rewritten = append(rewritten, t.def(stmt)...)
			continue
		}
		rewritten = append(rewritten, stmt)
	}
	return rewritten
}

// target rewrites what is assigned to.
func (t toplevel) target(e syntax.Expr) syntax.Expr {
	switch e := e.(type) {
	case *syntax.Ident:
		return t.attribute(e)
	case *syntax.ParenExpr:
		e.X = t.target(e.X)
	case *syntax.TupleExpr:
		t.targets(e.List)
	case *syntax.ListExpr:
		t.targets(e.List)
	}
	return e
}

func (t toplevel) targets(list []syntax.Expr) {
	for i := range list {
		list[i] = t.target(list[i])
	}
}

func (t toplevel) attribute(name *syntax.Ident) syntax.Expr {
	t.bound[name.Name] = true
	return &syntax.DotExpr{X: ident(mainName, name.NamePos), Dot: name.NamePos, NamePos: name.NamePos, Name: name}
}

// def keeps the name that the function has in tracebacks.
func (t toplevel) def(def *syntax.DefStmt) []syntax.Stmt {
	at, name := def.Def, def.Name.Name
	maker := "def " + name // which no script can spell
	return []syntax.Stmt{
		&syntax.DefStmt{Def: at, Name: ident(maker, at), Body: []syntax.Stmt{
			def, &syntax.ReturnStmt{Return: at, Result: ident(name, at)},
		}},
		&syntax.AssignStmt{OpPos: at, Op: syntax.EQ, LHS: t.attribute(ident(name, at)), RHS: &syntax.CallExpr{
			Fn: ident(maker, at), Lparen: at, Rparen: at,
		}},
	}
}

func ident(name string, at syntax.Position) *syntax.Ident {
	return &syntax.Ident{NamePos: at, Name: name}
}

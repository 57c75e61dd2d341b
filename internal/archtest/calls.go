package archtest

import (
	"fmt"
	"go/ast"
	"slices"
)

// checkCalls finds what a file must not reach for: environment and clock
// (rule 7), init functions, and tests that skip themselves.
func checkCalls(f source) []Problem {
	osName, timeName := f.localName("os"), f.localName("time")
	var problems []Problem
	report := func(n ast.Node, rule, reason string) {
		problems = append(problems, Problem{Where: f.at(f.line(n)), Rule: rule, Reason: reason})
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				report(n, "no init", "what a package needs is handed to it, in an order that can be read")
			}
		case *ast.SelectorExpr:
			on, ok := n.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch {
			case f.isTest() && skips(on.Name, n.Sel.Name):
				report(n, "no skip", "a test that is skipped does not exist: install what it needs, or give it the build tag `long`")
			case f.isTest() || f.isTestSupport():
			case osName != "" && on.Name == osName && readsEnvironment(n.Sel.Name) && !within(f.dir, "internal/config"):
				report(n, "rule 7", fmt.Sprintf("os.%s: only internal/config reads the environment, so that all wrong settings are reported at once", n.Sel.Name))
			case timeName != "" && on.Name == timeName && readsClock(n.Sel.Name) && !f.isMain():
				report(n, "rule 7", fmt.Sprintf("time.%s: only mains ask the clock, everyone else is handed one", n.Sel.Name))
			}
		}
		return true
	})
	return problems
}

// skips knows a test's Skip by its receiver's customary names: other types have
// methods of that name as well.
func skips(receiver, method string) bool {
	switch method {
	case "SkipNow", "Skipf":
		return true
	case "Skip":
		return slices.Contains([]string{"t", "b", "f", "tb", "rt"}, receiver)
	default:
		return false
	}
}

func readsEnvironment(name string) bool {
	return slices.Contains([]string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"}, name)
}

func readsClock(name string) bool {
	return slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "Tick"}, name)
}

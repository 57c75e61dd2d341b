// Command statesgen writes docs/states.md from the tables of internal/broadcast:
//
//	go run ./internal/broadcast/statesgen > docs/states.md
package main

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// page is the prose of docs/states.md around what comes from the tables.
//
//go:embed states.md.tmpl
var page string

// row is a row of any table, in words.
type row struct{ From, On, To string }

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "statesgen:", err)
		os.Exit(1)
	}
}

func write(w io.Writer) error {
	t, err := template.New("states.md").Funcs(template.FuncMap{"table": table, "diagram": diagram}).Parse(page)
	if err != nil {
		return fmt.Errorf("parse states.md.tmpl: %w", err)
	}
	var data struct{ Key, Room, Post []row }
	for _, r := range broadcast.KeyTable {
		data.Key = append(data.Key, row{string(r.From), string(r.On), string(r.To)})
	}
	for _, r := range broadcast.RoomTable {
		data.Room = append(data.Room, row{string(r.From), string(r.On), string(r.To)})
	}
	for _, r := range broadcast.PostTable {
		data.Post = append(data.Post, row{string(r.From), string(r.On), string(r.To)})
	}
	return t.Execute(w, data)
}

// table is rows as Markdown.
func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| from | on | to |\n|---|---|---|\n")
	for _, r := range rows {
		if r.From == "" {
			r.From = "(none)"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.From, r.On, r.To)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// diagram is rows as Mermaid; arrows between the same two states are one. A
// state that no row leaves is an end.
func diagram(rows []row) string {
	var order [][2]string
	labels := map[[2]string][]string{}
	leaves, states := map[string]bool{}, []string{}
	for _, r := range rows {
		arrow := [2]string{r.From, r.To}
		if r.From == "" {
			arrow[0] = "[*]"
		}
		if labels[arrow] == nil {
			order = append(order, arrow)
		}
		labels[arrow] = append(labels[arrow], r.On)
		leaves[r.From] = true
		states = append(states, r.To)
	}
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n")
	for _, a := range order {
		fmt.Fprintf(&b, "%s --> %s: %s\n", a[0], a[1], strings.Join(labels[a], ", "))
	}
	for _, s := range states {
		if !leaves[s] {
			leaves[s] = true
			fmt.Fprintf(&b, "%s --> [*]\n", s)
		}
	}
	b.WriteString("```")
	return b.String()
}

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
)

func TestThePageIsCurrent(t *testing.T) {
	var want bytes.Buffer
	if err := write(&want); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../docs/states.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("docs/states.md is not what the tables say; run: go run ./internal/broadcast/statesgen > docs/states.md")
	}
}

func TestThePageShowsEveryRowInTableAndDiagram(t *testing.T) {
	var page bytes.Buffer
	if err := write(&page); err != nil {
		t.Fatal(err)
	}
	rows := []row{}
	for _, r := range broadcast.KeyTable {
		rows = append(rows, row{string(r.From), string(r.On), string(r.To)})
	}
	for _, r := range broadcast.RoomTable[1:] {
		rows = append(rows, row{string(r.From), string(r.On), string(r.To)})
	}
	for _, r := range broadcast.PostTable[1:] {
		rows = append(rows, row{string(r.From), string(r.On), string(r.To)})
	}
	for _, r := range rows {
		if !strings.Contains(page.String(), "| "+r.From+" | "+r.On+" | "+r.To+" |\n") {
			t.Errorf("%v is in no table", r)
		}
		shown := false
		for line := range strings.Lines(page.String()) {
			labels, ok := strings.CutPrefix(strings.TrimSpace(line), r.From+" --> "+r.To+": ")
			shown = shown || ok && strings.Contains(", "+labels+", ", ", "+r.On+", ")
		}
		if !shown {
			t.Errorf("%v is in no diagram", r)
		}
	}
	if n := strings.Count(page.String(), "```mermaid\nstateDiagram-v2\n"); n != 3 {
		t.Errorf("%d diagrams", n)
	}
	if !strings.Contains(page.String(), "[*] --> SCHEDULED: create\n") {
		t.Error("the room's diagram has no beginning")
	}
}

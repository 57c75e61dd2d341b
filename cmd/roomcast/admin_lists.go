package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/roomcast/roomcast/client"
)

// listing is what every list of the admin API is asked with.
type listing struct {
	running
	Limit int  `default:"100" help:"Most entries to print."`
	JSON  bool `name:"json" help:"Print a JSON array of the API's resources."`
}

type appsCmd struct{ listing }

// Run lists the apps.
func (c *appsCmd) Run() error {
	return c.print("/v2/admin/apps", nil, "id", "name", "defaultOutputMode", "createdAt")
}

type keysCmd struct {
	listing
	State string `help:"Only keys in this state, such as ACTIVE_LIVE."`
}

// Run lists the stream keys, without their strings.
func (c *keysCmd) Run() error {
	return c.print("/v2/admin/stream-keys", url.Values{"state": {c.State}}, "id", "appId", "appUserId", "streamKeyState", "videoRoomId", "lastModifiedAt")
}

type roomsCmd struct {
	listing
	State string `help:"Only rooms in this state, such as LIVE."`
}

// Run lists the video rooms.
func (c *roomsCmd) Run() error {
	return c.print("/v2/admin/video-rooms", url.Values{"videoRoomState": {c.State}}, "id", "appId", "appUserId", "videoRoomState", "title", "lastModifiedAt")
}

type workersCmd struct{ listing }

// Run lists the workers.
func (c *workersCmd) Run() error {
	return c.print("/v2/admin/workers", nil, "id", "address", "sessions", "bitrate")
}

type journalCmd struct {
	listing
	Room string `arg:"" help:"The room's id."`
}

// Run prints why the room is in its state, the oldest entry first.
func (c *journalCmd) Run() error {
	return c.print("/v2/admin/video-rooms/"+url.PathEscape(c.Room)+"/journal", url.Values{"order": {"asc"}},
		"at", "kind", "machine", "from", "on", "to", "actor.kind", "actor.id", "actor.requestId", "reason")
}

type eventsCmd struct {
	listing
	App   string `arg:"" help:"The app's id."`
	After string `help:"Only events after this place: the nextAfter of an answer."`
}

// Run prints the app's events as its feed has them.
func (c *eventsCmd) Run() error {
	return c.print("/v2/admin/apps/"+url.PathEscape(c.App)+"/events", url.Values{"after": {c.After}}, "timestamp", "type", "resourceId", "sequence", "id")
}

// print reads a list page by page and prints it: as a table of these fields,
// or whole as JSON.
func (l listing) print(path string, query url.Values, columns ...string) error {
	api, err := l.operator()
	if err != nil {
		return err
	}
	items, err := readAll(api, path, query, l.Limit)
	if err != nil {
		return err
	}
	if l.JSON {
		e := json.NewEncoder(os.Stdout)
		e.SetEscapeHTML(false)
		return e.Encode(items)
	}
	return table(os.Stdout, items, columns)
}

func readAll(api *client.Client, path string, query url.Values, limit int) ([]map[string]any, error) {
	q := url.Values{}
	for name, values := range query {
		if values[0] != "" {
			q[name] = values
		}
	}
	items := []map[string]any{}
	for len(items) < limit {
		if path != "/v2/admin/workers" {
			q.Set("limit", strconv.Itoa(min(limit-len(items), maxListed)))
		}
		var page struct {
			Items      []map[string]any
			NextCursor string
			NextAfter  string
		}
		if err := api.Do(context.Background(), http.MethodGet, path+"?"+q.Encode(), nil, &page); err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		switch {
		case page.NextCursor != "":
			q.Set("cursor", page.NextCursor)
		case page.NextAfter != "" && len(page.Items) > 0:
			q.Set("after", page.NextAfter)
		default:
			return items, nil
		}
	}
	return items, nil
}

// table prints the fields of items below their names.
func table(to io.Writer, items []map[string]any, columns []string) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	rows := [][]string{columns}
	for _, item := range items {
		row := make([]string, len(columns))
		for i, name := range columns {
			row[i] = cell(at(item, name))
		}
		rows = append(rows, row)
	}
	for _, row := range rows {
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// at is the value of a field; actor.id is a field of a field.
func at(item map[string]any, name string) any {
	outer, inner, nested := strings.Cut(name, ".")
	if !nested {
		return item[name]
	}
	m, _ := item[outer].(map[string]any)
	return m[inner]
}

// cell is a value on one line; what a caller wrote cannot move the cursor.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		return strings.Map(func(r rune) rune {
			if !strconv.IsPrint(r) {
				return '·'
			}
			return r
		}, v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return string(b)
}

package httpapi

import (
	"github.com/roomcast/roomcast/internal/control"
)

// Page is the query of every list.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"Most items to answer"`
	Cursor string `query:"cursor" maxLength:"512" doc:"nextCursor of the page before"`
	Order  string `query:"order" enum:"asc,desc" default:"desc" doc:"asc = oldest first"`
}

func (p Page) of() control.Page {
	return control.Page{Limit: p.Limit, Cursor: p.Cursor, Ascending: p.Order == "asc"}
}

// list is one page of a list.
type list[T any] struct {
	Items      []T     `json:"items" nullable:"false"`
	NextCursor *string `json:"nextCursor" doc:"cursor of the next page; null = this is the last"`
}

// listed is the answer of operations that list.
type listed[T any] struct{ Body list[T] }

func listOf[S, T any](l control.List[S], convert func(S) T) *listed[T] {
	items := make([]T, 0, len(l.Items))
	for _, i := range l.Items {
		items = append(items, convert(i))
	}
	return &listed[T]{Body: list[T]{Items: items, NextCursor: orNull(l.Next)}}
}

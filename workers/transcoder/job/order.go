package job

import (
	"context"
	"sync"
)

// inOrder fetches 0 to n-1, some ahead of what is used, and uses them one after
// the other. The first error ends it.
func inOrder[T any](ctx context.Context, n, ahead int, fetch func(ctx context.Context, i int) (T, error), use func(i int, v T) error) error {
	type result struct {
		v   T
		err error
	}
	ctx, cancel := context.WithCancel(ctx)
	var under sync.WaitGroup
	defer under.Wait()
	defer cancel()
	fetched := make(chan chan result, ahead-1) // and one at the sender
	under.Go(func() {
		defer close(fetched)
		for i := range n {
			c := make(chan result, 1)
			under.Go(func() {
				v, err := fetch(ctx, i)
				c <- result{v, err}
			})
			select {
			case fetched <- c:
			case <-ctx.Done():
				return
			}
		}
	})
	i := 0
	for c := range fetched {
		r := <-c
		if r.err == nil {
			r.err = use(i, r.v)
		}
		if r.err != nil {
			return r.err
		}
		i++
	}
	return ctx.Err()
}

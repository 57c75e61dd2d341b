package dynamo

import (
	"errors"
	"sync"
)

// sideBySide is how many calls of one operation run at once.
const sideBySide = 16

// side does n pieces of work beside each other and answers all their errors.
func side(n int, do func(i int) error) error {
	errs := make([]error, n)
	places := make(chan struct{}, sideBySide)
	var wg sync.WaitGroup
	for i := range n {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			errs[i] = do(i)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

package objectstest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"

	"github.com/roomcast/roomcast/internal/control"
)

// large is more than any adapter writes in one piece.
const large = 20<<20 + 17

// stream is what adapters have for objects of any size.
func stream(f *fixture) {
	o, ok := f.o.(interface {
		PutFrom(ctx context.Context, key string, r io.Reader, opt control.PutOptions) (string, error)
		GetTo(ctx context.Context, key string, w io.Writer) error
		GetRange(ctx context.Context, key string, from, size int64) ([]byte, int64, error)
	})
	if !ok {
		f.Fatal("it streams no objects")
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // bytes to compare
	content := make([]byte, large)
	for i := range content {
		content[i] = byte(random.Uint32() & 0xff)
	}
	for _, body := range [][]byte{nil, content[:5], content[:8<<20], content} {
		_, err := o.PutFrom(f.ctx, "posts/p/file.mp4", io.MultiReader(bytes.NewReader(body)), control.PutOptions{ContentType: "video/mp4", CacheControl: "c"})
		f.must(err)
		var back bytes.Buffer
		f.must(o.GetTo(f.ctx, "posts/p/file.mp4", &back))
		if !bytes.Equal(back.Bytes(), body) {
			f.Errorf("%d bytes came back, want %d", back.Len(), len(body))
		}
	}
	list, err := f.o.List(f.ctx, "posts/", "", 5)
	f.must(err)
	if len(list) != 1 || list[0].SizeBytes != large || list[0].ContentType != "video/mp4" || list[0].CacheControl != "c" {
		f.Errorf("listed as %+v", list)
	}
	for _, c := range []struct{ from, size, want int64 }{{0, 10, 10}, {1000, 4096, 4096}, {large - 3, 10, 3}, {large, 10, 0}, {large + 5, 10, 0}} {
		b, total, err := o.GetRange(f.ctx, "posts/p/file.mp4", c.from, c.size)
		f.must(err)
		if total != large || int64(len(b)) != c.want || !bytes.Equal(b, content[min(c.from, large):min(c.from+c.want, large)]) {
			f.Errorf("%d bytes from %d on: %d, of %d", c.size, c.from, len(b), total)
		}
	}
	_, _, err = o.GetRange(f.ctx, "posts/none", 0, 10)
	f.is("a range of nothing", err, control.ErrNotFound)
	f.is("nothing to a writer", o.GetTo(f.ctx, "posts/none", io.Discard), control.ErrNotFound)

	// A source that breaks off, also by the words of a short read, is no object.
	for _, broken := range []error{io.ErrUnexpectedEOF, errors.New("gone")} {
		for _, n := range []int{0, 5, 8 << 20, 12 << 20} {
			_, err := o.PutFrom(f.ctx, "posts/broken", io.MultiReader(bytes.NewReader(content[:n]), failing{broken}), control.PutOptions{})
			f.is("a broken source", err, broken)
			_, _, err = f.o.Get(f.ctx, "posts/broken")
			f.is("what broke off", err, control.ErrNotFound)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

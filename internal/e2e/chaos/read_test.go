package chaos

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/roomcast/roomcast/internal/manifest"
)

// closed says whether a playlist has ended.
func closed(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	list, err := manifest.ParsePlaylist(body)
	if err == nil && !list.Ended {
		err = fmt.Errorf("no ENDLIST after segment %d", list.MediaSequence+uint64(len(list.Entries))-1)
	}
	return err
}

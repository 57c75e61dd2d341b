package disk

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/roomcast/roomcast/internal/control"
)

// bootFile holds the machine's boot during which the directory was last opened.
const bootFile = ".boot"

// noteBoot reports whether the machine has started anew since the directory
// was last opened.
func (d *Disk) noteBoot() (bool, error) {
	if bootID == "" {
		return false, nil // then nothing is ever left to be flushed later
	}
	id, err := os.ReadFile(bootID)
	if err != nil {
		return false, err
	}
	old, err := d.root.ReadFile(bootFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if string(old) == string(id) {
		return false, nil
	}
	temp, _, err := d.writeTemp([][]byte{id}, control.Durable)
	if err != nil {
		return false, err
	}
	if err := d.root.Rename(temp, bootFile); err != nil {
		return false, err
	}
	return old != nil, d.dirs.sync(".")
}

// Restarted reports whether the machine has started anew since the directory
// was last opened: what was put shortly before then is only what its
// control.Durability promises.
func (d *Disk) Restarted() bool { return d.restarted }

// Glob answers the keys that match a pattern of path.Match, in no order.
func (d *Disk) Glob(pattern string) ([]string, error) {
	keys, err := fs.Glob(d.root.FS(), pattern)
	var visible []string
	for _, k := range keys {
		if !strings.HasPrefix(k, ".") {
			visible = append(visible, k)
		}
	}
	return visible, err
}

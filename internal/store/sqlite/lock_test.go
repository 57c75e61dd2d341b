package sqlite_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/store/sqlite"
)

func TestSecondHolderOfTheDataDirectoryIsTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first, err := sqlite.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = sqlite.Lock(dir)
	if err == nil || !strings.Contains(err.Error(), "in use by process "+strconv.Itoa(os.Getpid())) || strings.Contains(err.Error(), "\n") {
		t.Errorf("the second holder is told %v", err)
	}
	if err := first.Unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := sqlite.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestUnwritableDataDirectoryIsOneClearError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Lock(file); err == nil {
		t.Error("a file was taken for a data directory")
	}
}

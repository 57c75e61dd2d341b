package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAReplacedTokenKeyVerifiesForADay(t *testing.T) {
	dir := t.TempDir()
	k, err := loadTokenKeys(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := k.get()[0]
	if again, err := loadTokenKeys(dir, nil); err != nil || len(again.get()) != 1 || !bytes.Equal(again.get()[0], first) {
		t.Fatalf("another start has another key: %v", err)
	}
	now := time.Now()
	if err := rotateTokenKey(dir, now, false); err != nil {
		t.Fatal(err)
	}
	k.looked = time.Time{}
	keys := k.get()
	if len(keys) != 2 || bytes.Equal(keys[0], first) || !bytes.Equal(keys[1], first) {
		t.Fatalf("%d keys, and the old one is not the second", len(keys))
	}
	if err := rotateTokenKey(dir, now.Add(23*time.Hour), false); err == nil {
		t.Error("replaced twice in a day, which logs members out")
	}
	if keys, err := readTokenKeys(dir, now.Add(25*time.Hour)); err != nil || len(keys) != 1 {
		t.Errorf("the old key is good for ever: %d keys, %v", len(keys), err)
	}
	if err := rotateTokenKey(dir, now.Add(25*time.Hour), false); err != nil {
		t.Error(err)
	}
	if err := rotateTokenKey(dir, now, true); err != nil {
		t.Error(err)
	}
	// A damaged file does not stop what runs, and stops the next start.
	if err := os.WriteFile(filepath.Join(dir, tokenKeyFile), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.looked = time.Time{}
	if len(k.get()) != 2 {
		t.Error("a damaged file took the keys away")
	}
	if _, err := loadTokenKeys(dir, nil); err == nil {
		t.Error("started with a key of 5 bytes")
	}
}

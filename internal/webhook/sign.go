// Package webhook calls customers' endpoints by the Standard Webhooks
// specification (github.com/standard-webhooks/standard-webhooks, spec v1).
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	secretPrefix = "whsec_"
	// A key has 24 to 64 bytes (Standard Webhooks, "Signature scheme").
	minKeyBytes, maxKeyBytes = 24, 64
)

// Sign answers the value of the header webhook-signature: one v1 signature for
// each secret, separated by spaces. It signs id.timestamp.body, the timestamp
// in seconds since 1970. An error names no secret.
func Sign(secrets []string, id string, at time.Time, body []byte) (string, error) {
	if len(secrets) == 0 {
		return "", errors.New("no secret to sign with")
	}
	var list []string
	for _, s := range secrets {
		key, err := keyOf(s)
		if err != nil {
			return "", err
		}
		mac := hmac.New(sha256.New, key)
		_, _ = fmt.Fprintf(mac, "%s.%s.", id, stamp(at)) // a hash never fails
		_, _ = mac.Write(body)
		list = append(list, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(list, " "), nil
}

func stamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

func keyOf(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, secretPrefix)
	if !ok {
		return nil, errors.New("a secret does not begin with " + secretPrefix)
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("a secret is no base64")
	}
	if len(key) < minKeyBytes || len(key) > maxKeyBytes {
		return nil, fmt.Errorf("a secret has %d bytes, not %d to %d", len(key), minKeyBytes, maxKeyBytes)
	}
	return key, nil
}

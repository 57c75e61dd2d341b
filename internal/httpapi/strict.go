package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// checkJSON reports what makes data not be exactly one JSON value that every
// parser reads alike (I-JSON, RFC 7493: UTF-8, no lone surrogates, no name
// twice in an object). encoding/json lets all of that pass. The error is for
// the caller and repeats nothing but names.
func checkJSON(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("the body is not UTF-8")
	}
	if hasLoneSurrogate(data) {
		return errors.New("the body has an escaped surrogate without its other half")
	}
	// Unmarshal also bounds the depth, so that the loop below ends in all cases.
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		var at *json.SyntaxError
		if errors.As(err, &at) && !strings.HasPrefix(at.Error(), "unexpected end") {
			return fmt.Errorf("the body is not one valid JSON value: byte %d does not fit", at.Offset)
		}
		return errors.New("the body is not one valid JSON value: it ends too early")
	}
	return checkNames(data)
}

// checkNames refuses names that stand twice in one object. data is valid JSON.
func checkNames(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	// One set per open object; nil for an open array.
	var open []map[string]bool
	name := false // whether the next token is a name
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errors.New("the body is not one valid JSON value")
		}
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{':
				open = append(open, map[string]bool{})
			case '[':
				open = append(open, nil)
			case '}', ']':
				open = open[:len(open)-1]
			}
			name = len(open) > 0 && open[len(open)-1] != nil
		case string:
			if !name {
				name = len(open) > 0 && open[len(open)-1] != nil
				continue
			}
			seen := open[len(open)-1]
			if seen[t] {
				return fmt.Errorf("the name %q stands twice in one object", clip(t))
			}
			seen[t], name = true, false
		default:
			name = len(open) > 0 && open[len(open)-1] != nil
		}
	}
}

// hasLoneSurrogate finds \uD800–\uDFFF that is not a pair: encoding/json would
// silently replace it.
func hasLoneSurrogate(data []byte) bool {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++ // the escaped character
		unit, ok := escapedUnit(data, i)
		switch {
		case !ok || unit < 0xD800 || unit > 0xDFFF:
		case unit >= 0xDC00: // a low half comes second
			return true
		default:
			if i+5 >= len(data) || data[i+5] != '\\' {
				return true
			}
			low, ok := escapedUnit(data, i+6)
			if !ok || low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 10
		}
	}
	return false
}

// escapedUnit reads uXXXX at i.
func escapedUnit(data []byte, i int) (unit int, ok bool) {
	if i+4 >= len(data) || data[i] != 'u' {
		return 0, false
	}
	for _, c := range data[i+1 : i+5] {
		switch {
		case c >= '0' && c <= '9':
			unit = unit<<4 | int(c-'0')
		case c >= 'a' && c <= 'f':
			unit = unit<<4 | int(c-'a'+10)
		case c >= 'A' && c <= 'F':
			unit = unit<<4 | int(c-'A'+10)
		default:
			return 0, false
		}
	}
	return unit, true
}

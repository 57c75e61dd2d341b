package dynamo

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// item is one item of the table.
type item = map[string]types.AttributeValue

// The attributes that more than one kind of item has.
const (
	attrPK      = "pk"
	attrSK      = "sk"
	attrID      = "id"      // sort key of the lists
	attrVersion = "version" // of the record
	attrDoc     = "doc"     // the record as JSON
	attrPacked  = "packed"  // or as deflated JSON
	attrSweep   = "sweep"   // what the sweeper looks for
	attrSweepBy = "sweepBy"
	attrExpires = "expiresAt" // Unix seconds; the table's TTL
)

const (
	// packFrom is from where on a document is deflated: four write units less
	// for the longest room of a Korean host.
	packFrom = 1024
	// maxDocBytes is more than any record has; it bounds what is inflated.
	maxDocBytes = 1 << 20
)

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n uint64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatUint(n, 10)}
}

func textOf(it item, name string) string {
	if v, ok := it[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

// numberOf answers 0 where there is none.
func numberOf(it item, name string) uint64 {
	v, ok := it[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(v.Value, 10, 64)
	if err != nil {
		return 0 // not one of ours
	}
	return n
}

// key answers the primary key that begins a new item.
func key(pk, sk string) item { return item{attrPK: text(pk), attrSK: text(sk)} }

// single is the key of a record that is alone in its partition.
func single(kind, id string) item { return key(kind+"#"+id, kind) }

func nameOf(it item) string { return textOf(it, attrPK) + " " + textOf(it, attrSK) }

// ordered is a number as text that sorts as the number does.
func ordered(n uint64) string { return fmt.Sprintf("%020d", n) }

// orderedTime is a time in microseconds as text that sorts as the time does.
func orderedTime(t time.Time) string {
	return ordered(uint64(t.UnixMicro()) ^ 1<<63) // #nosec G115 -- the sign becomes the highest bit
}

// document puts rec into it.
func document(it item, rec any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(rec); err != nil {
		return err
	}
	doc := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(doc) < packFrom {
		it[attrDoc] = text(string(doc))
		return nil
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(doc); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	it[attrPacked] = &types.AttributeValueMemberB{Value: packed.Bytes()}
	return nil
}

// decode answers the record of an item.
func decode[T any](it item) (T, error) {
	var rec T
	doc := []byte(textOf(it, attrDoc))
	if packed, ok := it[attrPacked].(*types.AttributeValueMemberB); ok {
		var err error
		if doc, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed.Value)), maxDocBytes)); err != nil {
			return rec, fmt.Errorf("item %s: %w", nameOf(it), err)
		}
	}
	if err := json.Unmarshal(doc, &rec); err != nil {
		var none T
		return none, fmt.Errorf("item %s: %w", nameOf(it), err)
	}
	return rec, nil
}

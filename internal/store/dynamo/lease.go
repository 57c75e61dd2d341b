package dynamo

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// A lease is not a document: workers change it field by field.
const (
	attrEpoch        = "epoch"
	attrKeyGen       = "keyGeneration"
	attrHolder       = "holder"
	attrPlay         = "playId"
	attrRefusedUntil = "refusedUntil" // Unix nanoseconds
	attrMode         = "mode"
	attrRenewals     = "renewals"
	attrMedia        = "media"
	attrPhase        = "phase"
	attrSeq          = "seq"
	attrLastSegment  = "lastSegment"
	attrHealth       = "health" // JSON
)

// heldShards spreads the takes and closes of all keys over the index.
const heldShards = 16

func leaseKey(id broadcast.KeyID) item { return single("LEASE", string(id)) }

func shardOf[ID ~string](id ID) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // a hash takes everything
	return int(h.Sum32() % heldShards)
}

func heldShard(n int) string { return fmt.Sprintf("HELD#%02d", n) }

// watch puts a lease on the sweeper's list.
func watch(it item, id broadcast.KeyID) {
	it[attrSweep], it[attrSweepBy] = text(heldShard(shardOf(id))), text(string(id))
}

func holderValue(h broadcast.Holder) types.AttributeValue {
	return &types.AttributeValueMemberM{Value: item{
		"session": text(string(h.Session)), "worker": text(string(h.Worker)), "address": text(h.Address), "remote": text(h.Remote),
	}}
}

// progressValues answers what a worker reports, by attribute; no health, no
// attribute.
func progressValues(p broadcast.Progress) (item, error) {
	it := item{
		attrMode: text(string(p.Mode)), attrRenewals: number(p.Renewals), attrMedia: number(p.Media),
		attrPhase: text(string(p.Phase)), attrSeq: number(p.Seq), attrLastSegment: number(p.LastSegment),
	}
	if p.Health != nil {
		b, err := json.Marshal(p.Health)
		if err != nil {
			return nil, err
		}
		it[attrHealth] = text(string(b))
	}
	return it, nil
}

func leaseItem(l broadcast.Lease) (item, error) {
	it, err := progressValues(l.Progress)
	if err != nil {
		return nil, err
	}
	for k, v := range leaseKey(l.KeyID) {
		it[k] = v
	}
	it[attrKey], it[attrPlay] = text(string(l.KeyID)), text(string(l.PlayID))
	it[attrEpoch], it[attrKeyGen] = number(l.Epoch), number(l.KeyGeneration)
	if l.Holder != nil {
		it[attrHolder] = holderValue(*l.Holder)
	}
	if !l.RefusedUntil.IsZero() {
		it[attrRefusedUntil] = nanos(l.RefusedUntil)
	}
	return it, nil
}

// nanos is a time after 1970.
func nanos(t time.Time) types.AttributeValue {
	return number(uint64(max(t.UnixNano(), 0))) // #nosec G115 -- not negative
}

func leaseOf(it item) (broadcast.Lease, error) {
	l := broadcast.Lease{
		KeyID: broadcast.KeyID(textOf(it, attrKey)), Epoch: numberOf(it, attrEpoch), KeyGeneration: numberOf(it, attrKeyGen),
		PlayID: broadcast.PlayID(textOf(it, attrPlay)),
		Progress: broadcast.Progress{
			Mode: broadcast.Mode(textOf(it, attrMode)), Renewals: numberOf(it, attrRenewals), Media: numberOf(it, attrMedia),
			Phase: broadcast.Phase(textOf(it, attrPhase)), Seq: numberOf(it, attrSeq), LastSegment: numberOf(it, attrLastSegment),
		},
	}
	if n := numberOf(it, attrRefusedUntil); n > 0 {
		l.RefusedUntil = time.Unix(0, int64(n)).UTC() // #nosec G115 -- written by nanos
	}
	if h, ok := it[attrHolder].(*types.AttributeValueMemberM); ok {
		l.Holder = &broadcast.Holder{
			Session: broadcast.SessionID(textOf(h.Value, "session")), Worker: broadcast.WorkerID(textOf(h.Value, "worker")),
			Address: textOf(h.Value, "address"), Remote: textOf(h.Value, "remote"),
		}
	}
	if health := textOf(it, attrHealth); health != "" {
		l.Health = &broadcast.Health{}
		if err := json.Unmarshal([]byte(health), l.Health); err != nil {
			return l, fmt.Errorf("item %s: %w", nameOf(it), err)
		}
	}
	return l, nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/lambdatest"
	"github.com/roomcast/roomcast/internal/localstacktest"
)

// applied notes what it is asked to apply, and fails on some.
type applied struct {
	ids  []broadcast.EventID
	fail map[broadcast.EventID]bool
}

func (a *applied) ApplyEvent(_ context.Context, e broadcast.Event) error {
	a.ids = append(a.ids, e.ID)
	if a.fail[e.ID] {
		return errors.New("the store is out")
	}
	return nil
}

func message(id, group string) events.SQSMessage {
	body, err := json.Marshal(broadcast.Event{ID: broadcast.EventID(id), KeyID: broadcast.KeyID(group), Phase: broadcast.Prep})
	if err != nil {
		panic(err)
	}
	return events.SQSMessage{MessageId: "m-" + id, Body: string(body), Attributes: map[string]string{groupAttribute: group}}
}

func invoke(t *testing.T, h *handler, batch any) (failures []string, raw string) {
	t.Helper()
	in, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	b, err := lambda.NewHandler(h.handle).Invoke(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var r events.SQSEventResponse
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	for _, f := range r.BatchItemFailures {
		failures = append(failures, f.ItemIdentifier)
	}
	return failures, string(b)
}

func TestWhatFailedComesAgainWithAllThatFollowsInItsGroup(t *testing.T) {
	a := &applied{fail: map[broadcast.EventID]bool{"a1": true}}
	h := &handler{service: a, log: slog.New(slog.DiscardHandler)}
	failures, _ := invoke(t, h, events.SQSEvent{Records: []events.SQSMessage{
		message("a0", "a"), message("b0", "b"), message("a1", "a"), message("a2", "a"), message("b1", "b"),
	}})
	if want := []string{"m-a1", "m-a2"}; !slices.Equal(failures, want) {
		t.Errorf("failed %v, want %v", failures, want)
	}
	if want := []broadcast.EventID{"a0", "b0", "a1", "b1"}; !slices.Equal(a.ids, want) {
		t.Errorf("applied %v, want %v", a.ids, want)
	}
}

func TestNoFailureIsAnEmptyListAndNotNull(t *testing.T) {
	h := &handler{service: &applied{}, log: slog.New(slog.DiscardHandler)}
	if _, raw := invoke(t, h, events.SQSEvent{Records: []events.SQSMessage{message("a0", "a")}}); raw != `{"batchItemFailures":[]}` {
		t.Errorf("answered %s", raw)
	}
}

func TestAnUnreadableEventIsDropped(t *testing.T) {
	a := &applied{}
	h := &handler{service: a, log: slog.New(slog.DiscardHandler)}
	for _, body := range []string{"", "{", "null", `{"Phase":"NONSENSE"}`, "\x00\xff"} {
		failures, _ := invoke(t, h, events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m", Body: body}}})
		if len(failures) != 0 || len(a.ids) != 0 {
			t.Errorf("%q: failed %v, applied %v", body, failures, a.ids)
		}
	}
}

func environment(t *testing.T) map[string]string {
	t.Helper()
	account := localstacktest.New(t)
	return map[string]string{
		"AWS_REGION": localstacktest.Region, "AWS_ENDPOINT_URL": localstacktest.Endpoint,
		"AWS_ACCESS_KEY_ID": account.AccessKey, "AWS_SECRET_ACCESS_KEY": account.SecretKey,
		"ROOMCAST_TABLE": account.Deploy(t, "data")["TableName"],
	}
}

func TestTheBuiltBootstrapConsumesAndReportsAnOutage(t *testing.T) {
	env, event := environment(t), lambdatest.Event(t, "stateconsumer")
	var r events.SQSEventResponse
	p := lambdatest.Cold(t, "stateconsumer", env)
	if err := p.Invoke(event, &r); err != nil || r.BatchItemFailures == nil || len(r.BatchItemFailures) != 0 {
		t.Errorf("an event of a deleted key: %+v, %v", r, err)
	}
	p.Frugal(event, 500) // each of them asks DynamoDB
	env["ROOMCAST_TABLE"] += "x"
	if err := lambdatest.Start(t, lambdatest.Build(t, "stateconsumer"), env).Invoke(event, &r); err != nil || len(r.BatchItemFailures) != 1 {
		t.Errorf("without its table: %+v, %v", r, err)
	}
}

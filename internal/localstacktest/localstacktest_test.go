package localstacktest_test

import (
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/localstacktest"
)

func TestTemplatesAreDeployedByCloudFormation(t *testing.T) {
	account := localstacktest.New(t)
	for name, outputs := range map[string][]string{
		"data":   {"TableName", "TableStreamArn", "MediaBucket"},
		"queues": {"StateEventsUrl", "StateEventsDeadUrl"},
	} {
		got := account.Deploy(t, name)
		for _, want := range outputs {
			if got[want] == "" {
				t.Errorf("infra/%s.yaml: no output %s in %v", name, want, got)
			}
		}
		if url := got["StateEventsUrl"]; url != "" && !strings.HasPrefix(url, localstacktest.Endpoint+"/") {
			t.Errorf("the queue lies at %s, want %s", url, localstacktest.Endpoint)
		}
	}
}

func TestAccountsAreApart(t *testing.T) {
	if a, b := localstacktest.New(t), localstacktest.New(t); a.ID == b.ID || len(a.ID) != 12 {
		t.Errorf("accounts %s and %s", a.ID, b.ID)
	}
}

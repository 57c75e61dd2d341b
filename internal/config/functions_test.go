package config_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/roomcast/roomcast/internal/config"
)

var (
	resource = regexp.MustCompile(`^  ([A-Za-z]+):$`)
	variable = regexp.MustCompile(`^          (ROOMCAST_[A-Z_]+):`)
)

// declared answers what infra/functions.yaml sets for each function.
func declared(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile("../../infra/functions.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found, name := map[string][]string{}, ""
	for line := range strings.Lines(string(b)) {
		if m := resource.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			name = strings.ToLower(m[1])
		}
		if m := variable.FindStringSubmatch(line); m != nil {
			found[name] = append(found[name], m[1])
		}
	}
	for _, names := range found {
		slices.Sort(names)
	}
	return found
}

func loaders() map[string]func(config.Env) error {
	return map[string]func(config.Env) error{
		"api":           func(e config.Env) error { _, err := config.LoadAPI(e); return err },
		"stateconsumer": func(e config.Env) error { _, err := config.LoadStateConsumer(e); return err },
		"sweeper":       func(e config.Env) error { _, err := config.LoadSweeper(e); return err },
		"webhook":       func(e config.Env) error { _, err := config.LoadWebhook(e); return err },
		"archiver":      func(e config.Env) error { _, err := config.LoadArchiver(e); return err },
		"outbox":        func(e config.Env) error { _, err := config.LoadOutbox(e); return err },
	}
}

func TestEachFunctionIsGivenWhatItReadsAndReadsWhatItIsGiven(t *testing.T) {
	read := map[string][]string{}
	for name, load := range loaders() {
		asked := map[string]bool{}
		_ = load(func(variable string) string { asked[variable] = true; return "" }) // all is missing
		read[name] = slices.Sorted(maps.Keys(asked))
	}
	if d := cmp.Diff(declared(t), read); d != "" {
		t.Errorf("infra/functions.yaml (-) and internal/config (+):\n%s", d)
	}
}

func TestEveryWrongSettingOfAFunctionIsNamedAtOnce(t *testing.T) {
	for name, load := range loaders() {
		err := load(env(nil))
		if err == nil {
			t.Fatalf("%s starts without settings", name)
		}
		for _, variable := range declared(t)[name] {
			if !strings.Contains(err.Error(), variable) && variable != "ROOMCAST_OPERATOR_TOKEN" && !strings.HasPrefix(variable, "ROOMCAST_RATE_") {
				t.Errorf("%s: %s is missing in %q", name, variable, err)
			}
		}
	}
	_, err := config.LoadAPI(env(map[string]string{
		"ROOMCAST_TABLE": "t", "ROOMCAST_STATE_EVENTS_URL": "https://sqs/1/standard", "ROOMCAST_PUBLIC_URL": "live.example.com",
		"ROOMCAST_RTMP_URL": "https://x", "ROOMCAST_TOKEN_KEY": "short",
	}))
	for _, name := range []string{"ROOMCAST_STATE_EVENTS_URL", "ROOMCAST_PUBLIC_URL", "ROOMCAST_RTMP_URL", "ROOMCAST_TOKEN_KEY"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is missing in %v", name, err)
		}
	}
	if strings.Contains(err.Error(), "short") {
		t.Error("the secret is in the error")
	}
	_, err = config.LoadAWS(env(map[string]string{"ROOMCAST_TABLE": "t", "ROOMCAST_MEDIA_BUCKET": "b", "ROOMCAST_STATE_EVENTS_URL": "https://sqs/1/standard"}))
	if err == nil || !strings.Contains(err.Error(), "no FIFO queue") {
		t.Errorf("%v", err)
	}
}

// A message that comes again while its function still works on it is worked on
// twice (AWS: six times the timeout).
func TestMessagesStayHiddenSixTimesAsLongAsTheirFunctionMayTake(t *testing.T) {
	seconds := func(file, property string) map[string]int {
		b, err := os.ReadFile("../../infra/" + file)
		if err != nil {
			t.Fatal(err)
		}
		found, name := map[string]int{}, ""
		for line := range strings.Lines(string(b)) {
			if m := resource.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
				name = m[1]
			}
			if _, value, ok := strings.Cut(line, "      "+property+": "); ok && !strings.HasPrefix(line, "       ") {
				n, err := strconv.Atoi(strings.TrimSpace(value))
				if err != nil {
					t.Fatal(err)
				}
				found[name] = n
			}
		}
		return found
	}
	timeout, hidden := seconds("functions.yaml", "Timeout"), seconds("queues.yaml", "VisibilityTimeout")
	for function, queue := range map[string]string{"StateConsumer": "StateEvents", "Webhook": "Deliveries", "Archiver": "Jobs"} {
		if timeout[function] == 0 || hidden[queue] < 6*timeout[function] {
			t.Errorf("%s may take %d s, and messages of %s are hidden for %d s", function, timeout[function], queue, hidden[queue])
		}
	}
}

package config_test

import (
	"maps"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/config"
)

func env(pairs map[string]string) config.Env {
	return func(name string) string { return pairs[name] }
}

func TestDefaultsNeedNoSetting(t *testing.T) {
	got, err := config.LoadUp(config.Up{}, env(nil))
	want := config.Up{Data: ".roomcast", HTTP: "127.0.0.1:8080", RTMP: "127.0.0.1:1935", Backend: config.BackendLocal, LogFormat: "text", MaxViewers: 20_000, MaxViewersPerAddress: 1_000, Rates: config.Rates{PerApp: 60_000, PerAddress: 30_000}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestViewersAreLimitedByAPositiveNumber(t *testing.T) {
	got, err := config.LoadUp(config.Up{MaxViewers: 5}, env(map[string]string{"ROOMCAST_MAX_VIEWERS": "x", "ROOMCAST_MAX_VIEWERS_PER_ADDRESS": "7"}))
	if err != nil || got.MaxViewers != 5 || got.MaxViewersPerAddress != 7 {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, wrong := range []string{"0", "-1", "many", "2000000"} {
		_, err := config.LoadUp(config.Up{}, env(map[string]string{"ROOMCAST_MAX_VIEWERS": wrong}))
		if err == nil || !strings.Contains(err.Error(), "ROOMCAST_MAX_VIEWERS") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestRatesAreNumbersOrOff(t *testing.T) {
	got, err := config.LoadUp(config.Up{}, env(map[string]string{"ROOMCAST_RATE_PER_APP": "0", "ROOMCAST_RATE_PER_ADDRESS": "7"}))
	if err != nil || got.Rates != (config.Rates{PerAddress: 7}) {
		t.Errorf("got %+v, %v", got.Rates, err)
	}
	if _, err := config.LoadUp(config.Up{}, env(map[string]string{"ROOMCAST_RATE_PER_APP": "-1"})); err == nil || !strings.Contains(err.Error(), "ROOMCAST_RATE_PER_APP") {
		t.Errorf("-1: %v", err)
	}
}

func TestASwitchIsTrueOrFalse(t *testing.T) {
	for value, want := range map[string]bool{"": false, "true": true, "TRUE": true, "1": true, "false": false, "0": false} {
		got, err := config.LoadUp(config.Up{}, env(map[string]string{"ROOMCAST_INSECURE_WEBHOOKS": value}))
		if err != nil || got.InsecureWebhooks != want {
			t.Errorf("%q: %v, %v", value, got.InsecureWebhooks, err)
		}
	}
	for _, name := range []string{"ROOMCAST_INSECURE_WEBHOOKS", "ROOMCAST_RELAY_TLS"} {
		for _, wrong := range []string{"yes", "on", "ture"} {
			_, err := config.LoadUp(config.Up{Backend: config.BackendAWS, InsecureWebhooks: true}, env(map[string]string{name: wrong}))
			if err == nil || !strings.Contains(err.Error(), name+`: "`+wrong+`" is neither true nor false`) {
				t.Errorf("%s=%s: %v", name, wrong, err)
			}
		}
	}
	if got, err := config.LoadUp(config.Up{InsecureWebhooks: true}, env(map[string]string{"ROOMCAST_INSECURE_WEBHOOKS": "false"})); err != nil || !got.InsecureWebhooks {
		t.Errorf("a flag wins: %+v, %v", got, err)
	}
}

func TestAFlagWinsOverTheEnvironment(t *testing.T) {
	vars := env(map[string]string{"ROOMCAST_DATA": "/from-env", "ROOMCAST_HTTP": ":9000"})
	got, err := config.LoadUp(config.Up{Data: "/from-flag"}, vars)
	if err != nil || got.Data != "/from-flag" || got.HTTP != ":9000" {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestEveryWrongSettingIsNamedAtOnce(t *testing.T) {
	_, err := config.LoadUp(config.Up{HTTP: "nonsense", RTMP: "host:99999", PublicURL: "ftp://x", Backend: "mainframe", TLSCert: "only.pem", LogFormat: "xml"}, env(nil))
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"ROOMCAST_HTTP", "ROOMCAST_RTMP", "ROOMCAST_PUBLIC_URL", "ROOMCAST_BACKEND", "ROOMCAST_TLS_KEY", "ROOMCAST_LOG_FORMAT"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is missing in %q", name, err)
		}
	}
}

func TestOneAddressMayBeBothUnlessAnyPortWillDo(t *testing.T) {
	for _, c := range []struct {
		http, rtmp string
		want       bool
	}{{":443", ":443", true}, {":443", ":1935", false}, {"127.0.0.1:0", "127.0.0.1:0", false}} {
		if got := (config.Up{HTTP: c.http, RTMP: c.rtmp}).OnePort(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestWorkersFindEachOtherByAnAddressThatNamesOne(t *testing.T) {
	aws := map[string]string{
		"ROOMCAST_TABLE": "t", "ROOMCAST_MEDIA_BUCKET": "b", "ROOMCAST_STATE_EVENTS_URL": "https://sqs/1/e.fifo",
		"ROOMCAST_RELAY_SECRET": strings.Repeat("s", 32) + "\n",
	}
	with := func(pairs ...string) config.Env {
		all := maps.Clone(aws)
		for i := 0; i < len(pairs); i += 2 {
			all[pairs[i]] = pairs[i+1]
		}
		return env(all)
	}
	up := config.Up{Backend: config.BackendAWS, HTTP: ":8080"}
	got, err := config.LoadUp(up, with("ROOMCAST_RELAY_ADDRESS", "10.0.0.7:8080"))
	if err != nil || got.RelayAddress != "10.0.0.7:8080" || got.RelaySecret != strings.Repeat("s", 32) {
		t.Errorf("got %+v, %v", got.Relay, err)
	}
	for _, c := range []struct {
		env  config.Env
		says string
	}{
		{with(), "ROOMCAST_RELAY_ADDRESS"}, // every interface is no address
		{with("ROOMCAST_RELAY_ADDRESS", "10.0.0.7"), "ROOMCAST_RELAY_ADDRESS"},
		{with("ROOMCAST_RELAY_ADDRESS", "h:1", "ROOMCAST_RELAY_SECRET", "short"), "has 5 characters"},
		{with("ROOMCAST_RELAY_ADDRESS", "h:1", "ROOMCAST_RELAY_TLS", "true"), "ROOMCAST_RELAY_TLS"},
	} {
		if _, err := config.LoadUp(up, c.env); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "short") {
			t.Errorf("%v, want %s", err, c.says)
		}
	}
	up.HTTP = "10.0.0.8:80"
	if got, err := config.LoadUp(up, with()); err != nil || got.RelayAddress != "10.0.0.8:80" {
		t.Errorf("got %+v, %v", got.Relay, err)
	}
	if got, err := config.LoadUp(up, with("ROOMCAST_RELAY_SECRET", "")); err != nil || got.Relay != (config.Relay{}) {
		t.Errorf("without a secret: %+v, %v", got.Relay, err)
	}
}

func TestPublicURLs(t *testing.T) {
	addr := func(s string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, c := range []struct{ public, http, rtmp, cert, wantHTTP, wantRTMP string }{
		{"", "127.0.0.1:8080", "127.0.0.1:1935", "", "http://127.0.0.1:8080", "rtmp://127.0.0.1"},
		{"", "0.0.0.0:80", "[::]:1936", "", "http://127.0.0.1:80", "rtmp://127.0.0.1:1936"},
		{"https://live.example.com", "0.0.0.0:8080", "0.0.0.0:1935", "", "https://live.example.com", "rtmp://live.example.com"},
		{"https://live.example.com:8443", "0.0.0.0:8080", "0.0.0.0:1936", "", "https://live.example.com:8443", "rtmp://live.example.com:1936"},
		{"", "127.0.0.1:8443", "127.0.0.1:1935", "c", "https://127.0.0.1:8443", "rtmps://127.0.0.1:1935"},
		{"", "0.0.0.0:443", "0.0.0.0:443", "c", "https://127.0.0.1", "rtmps://127.0.0.1"},
		{"https://live.example.com", "0.0.0.0:443", "0.0.0.0:443", "c", "https://live.example.com", "rtmps://live.example.com"},
	} {
		u := config.Up{PublicURL: c.public, TLSCert: c.cert, TLSKey: c.cert}
		gotHTTP, gotRTMP := u.PublicURLs(addr(c.http), addr(c.rtmp))
		if gotHTTP != c.wantHTTP || gotRTMP != c.wantRTMP {
			t.Errorf("%+v: got %s and %s", c, gotHTTP, gotRTMP)
		}
	}
}

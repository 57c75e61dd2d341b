package chaos

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// services are what lies between a worker and AWS.
var services = [...]string{"DYNAMODB", "SQS", "S3"}

// lines are one process's ways to AWS, each through a proxy that can be sick.
type lines struct {
	proxies map[string]*toxiproxy.Proxy
}

// newLines leads to the address of each service.
func newLines(t *testing.T, upstream map[string]string) *lines {
	t.Helper()
	l := &lines{proxies: map[string]*toxiproxy.Proxy{}}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	for _, s := range services {
		p := toxiproxy.NewProxy(server, s, "127.0.0.1:0", upstream[s])
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Stop)
		l.proxies[s] = p
	}
	return l
}

// env leads the AWS SDK of a process through the proxies.
func (l *lines) env() []string {
	var env []string
	for s, p := range l.proxies {
		env = append(env, "AWS_ENDPOINT_URL_"+s+"=http://"+p.Listen)
	}
	return env
}

// slow lets everything of a service come late; half leaves connections open
// and lets nothing through; both until heal.
func (l *lines) slow(service string, by time.Duration) error {
	return l.toxic(service, fmt.Sprintf(`{"name":"slow","type":"latency","stream":"downstream","attributes":{"latency":%d,"jitter":%d}}`,
		by.Milliseconds(), by.Milliseconds()/2))
}

func (l *lines) half(service, stream string) error {
	return l.toxic(service, fmt.Sprintf(`{"name":"half","type":"timeout","stream":%q,"attributes":{"timeout":0}}`, stream))
}

func (l *lines) toxic(service, json string) error {
	_, err := l.proxies[service].Toxics.AddToxicJson(strings.NewReader(json))
	return err
}

// cut closes every connection and refuses new ones, until heal.
func (l *lines) cut(service string) { l.proxies[service].Stop() }

// heal makes a service's line whole; one that is whole stays so.
func (l *lines) heal(service string) error {
	p := l.proxies[service]
	p.Toxics.ResetToxics(context.Background())
	p.Lock()
	enabled := p.Enabled
	p.Unlock()
	if enabled {
		return nil
	}
	return p.Start()
}

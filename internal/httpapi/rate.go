package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// Rates bound the requests of a minute; the zero value bounds nothing
// (docs/adr/0014). An app's requests are those of its keys and its members; an
// address's are those of members' devices, and all that bring no good
// credential.
type Rates struct {
	PerApp, PerAddress int // requests a minute; 0 = any number
	// Shared has the counts of all processes; nil = this is the only one.
	Shared SharedCounts
}

// SharedCounts adds up what processes count each for itself. Safe for
// concurrent use.
type SharedCounts interface {
	// AddCount adds n to the count of that name, makes it where it is not there,
	// and answers the sum. It may be forgotten from until on.
	AddCount(ctx context.Context, name string, n int, until time.Time) (int, error)
}

const (
	rateWindow = time.Minute
	// tellEvery is how many requests a process counts before it tells the
	// others: one small write for that many, and as many that may be too many.
	tellEvery = 20
	// maxSubjects bounds the memory of a window. Whoever comes after is not
	// counted in it.
	maxSubjects = 100_000
)

// limiter counts requests in windows of a minute. Safe for concurrent use.
type limiter struct {
	Rates
	now func() time.Time
	log *slog.Logger

	mu     sync.Mutex
	window time.Time
	counts map[string]*counted
}

// counted is what a subject did in the window: all that is known of other
// processes and told to them, and what is not told yet.
type counted struct{ told, fresh int }

func newLimiter(r Rates, now func() time.Time, log *slog.Logger) *limiter {
	return &limiter{Rates: r, now: now, log: log, counts: map[string]*counted{}}
}

// quota is where a subject stands.
type quota struct {
	name        string // of the policy
	limit, left int
	reset       time.Duration // until the window is over
	over        bool
}

// take counts n requests of a subject (0 = only looks). What is over the limit
// is not counted.
func (l *limiter) take(ctx context.Context, policy, subject string, limit, n int) quota {
	now := l.now()
	window := now.Truncate(rateWindow)
	q := quota{name: policy, limit: limit, reset: window.Add(rateWindow).Sub(now)}
	l.mu.Lock()
	if !window.Equal(l.window) {
		l.window = window
		clear(l.counts)
	}
	name := policy + "#" + subject
	c := l.counts[name]
	if c == nil {
		c = &counted{}
		if n > 0 && len(l.counts) < maxSubjects {
			l.counts[name] = c
		}
	}
	q.over = c.told+c.fresh+max(n, 1) > limit
	if !q.over {
		c.fresh += n
	}
	tell := 0
	if l.Shared != nil && n > 0 && c.fresh >= tellEvery {
		tell, c.fresh = c.fresh, 0
		c.told += tell
	}
	q.left = max(limit-c.told-c.fresh, 0)
	l.mu.Unlock()
	if tell > 0 {
		l.tell(ctx, name, window, tell, c)
	}
	return q
}

// tell adds to the shared count and learns it. Where that fails the process
// goes on with its own.
func (l *limiter) tell(ctx context.Context, name string, window time.Time, n int, c *counted) {
	sum, err := l.Shared.AddCount(ctx, name+"#"+strconv.FormatInt(window.Unix(), 10), n, window.Add(2*rateWindow))
	if err != nil {
		l.log.WarnContext(ctx, "count of requests not shared", "err", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.told = max(c.told, sum)
}

func (l *limiter) app(ctx context.Context, id broadcast.AppID) quota {
	return l.take(ctx, "app", string(id), l.PerApp, 1)
}

// address names whoever is at the other end, without telling the address.
func (l *limiter) address(ctx context.Context, r *http.Request, n int) quota {
	return l.take(ctx, "address", addressOf(r), l.PerAddress, n)
}

// addressOf is a hash of the caller's address: of an IPv6 one the first 64
// bits, which is what one subscriber has.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr // an HTTP API gives no port
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap().WithZone("")
		host = ip.String()
		if ip.Is6() {
			if p, err := ip.Prefix(64); err == nil {
				host = p.String()
			}
		}
	}
	sum := sha256.Sum256([]byte("roomcast address:" + host))
	return hex.EncodeToString(sum[:12])
}

// limited counts an authenticated request and answers the problem of one too
// many; nil = go on. wrong says that the credential was none.
func (a *api) limited(w http.ResponseWriter, r *http.Request, s side, app broadcast.AppID, wrong bool) *problem {
	var quotas []quota
	if a.rates.PerAddress > 0 && (wrong || s == clientAPI) {
		quotas = append(quotas, a.rates.address(r.Context(), r, 1))
	}
	if a.rates.PerApp > 0 && !wrong && app != "" {
		quotas = append(quotas, a.rates.app(r.Context(), app))
	}
	return showQuotas(w.Header(), quotas)
}

// stopped refuses, before any look at its credential, a caller whose address
// has used its share up with requests that count by address.
func (a *api) stopped(w http.ResponseWriter, r *http.Request) *problem {
	if a.rates.PerAddress == 0 {
		return nil
	}
	if _, _, basic := r.BasicAuth(); basic {
		return nil // an app's backend is not locked out by who shares its address
	}
	q := a.rates.address(r.Context(), r, 0)
	if !q.over {
		return nil
	}
	return showQuotas(w.Header(), []quota{q})
}

// showQuotas writes the RateLimit fields (IETF draft-ietf-httpapi-ratelimit-headers-10).
func showQuotas(h http.Header, quotas []quota) (p *problem) {
	for _, q := range quotas {
		seconds := int(math.Ceil(q.reset.Seconds()))
		h.Add("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", q.name, q.limit, int(rateWindow.Seconds())))
		h.Add("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", q.name, q.left, seconds))
		if q.over && p == nil {
			p = newProblem(codeRateLimited, fmt.Sprintf("at most %d requests a minute of one %s; go on in %d s", q.limit, q.name, seconds))
			p.retryAfter = strconv.Itoa(seconds)
		}
	}
	return p
}

package cost_test

import (
	"math"
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/cost"
	"github.com/roomcast/roomcast/internal/infratest"
)

func bill(t *testing.T, u cost.Use) cost.Bill {
	t.Helper()
	p, err := cost.Listed()
	if err != nil {
		t.Fatal(err)
	}
	return cost.Month(p, u)
}

func lines(ls []cost.Line) map[string]float64 {
	m := map[string]float64{}
	for _, l := range ls {
		m[l.Name] = l.Dollars
	}
	return m
}

func TestAPassthroughStreamHourWithoutViewersCostsSixCentsAtMost(t *testing.T) {
	if b := bill(t, cost.Use{StreamHours: 1, BitrateMbps: 2.5, Mode: broadcast.ModeCMAF, KeepDays: 1}); b.PerStreamHour > 0.06 {
		t.Errorf("%.4f: %+v", b.PerStreamHour, b.Stream)
	}
}

func TestAnIdleStackCostsEightDollarsAtMostBesideItsLoadBalancerAndWorker(t *testing.T) {
	rest := 0.0
	for name, d := range lines(bill(t, cost.Use{Mode: broadcast.ModeCMAF}).Idle) {
		if name != "load balancer" && name != "one smallest worker" {
			rest += d
		}
	}
	t.Logf("the rest costs $%.2f a month", rest)
	if rest > 8 {
		t.Errorf("$%.2f a month: %+v", rest, bill(t, cost.Use{}).Idle)
	}
}

func TestTheBillCountsWhatTheTemplatesHave(t *testing.T) {
	templates, err := infratest.Load()
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	asked := 0
	for _, template := range templates {
		for _, r := range template.Section("Resources") {
			count[infratest.Map(r)["Type"].(string)]++
		}
		for _, p := range template.Of("AWS::Serverless::Function") {
			for _, e := range infratest.Map(p["Events"]) {
				if infratest.Map(e)["Type"] == "SQS" {
					asked++
				}
			}
		}
	}
	p, err := cost.Listed()
	if err != nil {
		t.Fatal(err)
	}
	idle := lines(bill(t, cost.Use{}).Idle)
	for name, want := range map[string]float64{
		"alarms and metrics":    float64(count["AWS::CloudWatch::Alarm"])*p.AlarmMonth + 3*p.MetricMonth,
		"secrets and key":       float64(count["AWS::SecretsManager::Secret"])*p.SecretMonth + float64(count["AWS::KMS::Key"])*p.KeyMonth,
		"queues that are asked": float64(asked) * 15 * 60 * 730 * p.SQSPerMillion / 1e6,
	} {
		if math.Abs(idle[name]-want) > 0.001 {
			t.Errorf("%s: the bill says $%.2f, the templates are worth $%.2f", name, idle[name], want)
		}
	}
	for _, kind := range []string{"AWS::EC2::NatGateway", "AWS::WAFv2::WebACL", "AWS::EC2::EIP"} {
		if count[kind] > 0 {
			t.Errorf("%s is not in the bill", kind)
		}
	}
}

func TestTheBillIsTheSumOfItsLinesAndGrowsWithUse(t *testing.T) {
	small := bill(t, cost.Use{StreamHours: 100, Viewers: 500, BitrateMbps: 2.5, Mode: broadcast.ModeCMAF})
	sum := 0.0
	for _, ls := range [][]cost.Line{small.Idle, small.Stream, small.Viewer} {
		for _, l := range ls {
			if l.Dollars < 0 || math.IsNaN(l.Dollars) {
				t.Errorf("%s costs %f", l.Name, l.Dollars)
			}
			sum += l.Dollars
		}
	}
	if math.Abs(sum-small.Total) > 1e-9 {
		t.Errorf("total %f, sum %f", small.Total, sum)
	}
	// 500 × 100 h × 1.125 GB × $0.085, by hand.
	if got := lines(small.Viewer)["CloudFront traffic"]; math.Abs(got-4781.25) > 0.01 {
		t.Errorf("traffic %f", got)
	}
	if big := bill(t, cost.Use{StreamHours: 200, Viewers: 500, BitrateMbps: 2.5, Mode: broadcast.ModeCMAF}); big.Total <= small.Total {
		t.Error("twice as much costs no more")
	}
	if rtmp := bill(t, cost.Use{StreamHours: 100, BitrateMbps: 2.5, Mode: broadcast.ModeRTMP}); rtmp.PerStreamHour >= small.PerStreamHour {
		t.Error("a recording alone costs as many requests as a live stream")
	}
	if small.IVSStandard <= small.IVSBasic || small.MediaLive <= 0 {
		t.Errorf("%+v", small)
	}
}

package infratest_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	it "github.com/roomcast/roomcast/internal/infratest"
)

// at follows a path of names, places and, in lists of maps, entries such as
// "Key=value"; nil = there is nothing.
func at(v any, path string) any {
	for step := range strings.SplitSeq(path, " ") {
		list, isList := v.([]any)
		name, value, isEntry := strings.Cut(step, "=")
		n, err := strconv.Atoi(step)
		switch {
		case isList && isEntry:
			i := slices.IndexFunc(list, func(e any) bool { return fmt.Sprint(it.Map(e)[name]) == value })
			if i < 0 {
				return nil
			}
			v = list[i]
		case isList && err == nil && n < len(list):
			v = list[n]
		default:
			v = it.Map(v)[step]
		}
	}
	return v
}

// TestWhatTheDesignRestsOnStandsInTheTemplates holds what no other test would
// miss before AWS does. "" = it is not there.
func TestWhatTheDesignRestsOnStandsInTheTemplates(t *testing.T) {
	all := load(t)
	for _, rule := range []struct{ template, path, want, why string }{
		{"data", "Table Properties BillingMode", "PAY_PER_REQUEST", "nothing idle is paid"},
		{"data", "Table Properties TimeToLiveSpecification Enabled", "true", "marks, notices and idempotency records go"},
		{"data", "Table Properties TimeToLiveSpecification AttributeName", "expiresAt", "as the store writes it"},
		{"data", "Table Properties StreamSpecification StreamViewType", "NEW_IMAGE", "the filters look at it"},
		{"data", "Media Properties VersioningConfiguration", "", "each live manifest would be kept for ever"},
		{"data", "Media Properties LifecycleConfiguration Rules Id=unfinished-uploads AbortIncompleteMultipartUpload DaysAfterInitiation", "1", "parts are paid"},
		{"data", "Media Properties LifecycleConfiguration Rules Id=forgotten-live-segments ExpirationInDays", "90", "the backstop"},
		{"queues", "StateEvents Properties FifoQueue", "true", "events of a key are in order"},
		{"queues", "StateEvents Properties DeduplicationScope", "messageGroup", "keys side by side"},
		{"queues", "StateEvents Properties FifoThroughputLimit", "perMessageGroupId", "keys side by side"},
		{"queues", "StateEvents Properties RedrivePolicy maxReceiveCount", "10", "an outage of minutes loses no event"},
		{"queues", "Deliveries Properties RedrivePolicy maxReceiveCount", "5", "a poison message ends"},
		{"queues", "Jobs Properties RedrivePolicy maxReceiveCount", "5", "a poison message ends"},
		{"functions", "HttpApi Properties DefaultRouteSettings ThrottlingRateLimit", "map[Ref:ApiRate]", "a flood ends at the gateway"},
		{"functions", "HttpApi Properties AccessLogSettings DestinationArn", "map[Fn::GetAtt:[AccessLog Arn]]", "who asked"},
		{"functions", "StateConsumer Properties Events StateEvents Properties BatchSize", "1", "a poison message drags nobody along"},
		{"functions", "StateConsumer Properties Events StateEvents Properties FunctionResponseTypes 0", "ReportBatchItemFailures", "what failed comes again"},
		{"functions", "StateConsumer Properties Events StateEvents Properties ScalingConfig MaximumConcurrency", "50", "no function starves the others"},
		{"functions", "Webhook Properties Events Deliveries Properties ScalingConfig MaximumConcurrency", "100", "no function starves the others"},
		{"functions", "Archiver Properties Events Jobs Properties ScalingConfig MaximumConcurrency", "20", "no function starves the others"},
		{"functions", "Outbox Properties Events NewItems Properties BisectBatchOnFunctionError", "true", "a poison record is found"},
		{"functions", "Outbox Properties Events NewItems Properties DestinationConfig OnFailure Destination", "map[Ref:OutboxDeadArn]", "and told"},
		{"functions", "Sweeper Properties Events Minute Properties ScheduleExpression", "rate(1 minute)", "docs/adr/0017"},
		{"functions", "Sweeper Properties Timeout", "60", "a shift is 54 s"},
		{"workers", "BlueIngest Properties DesiredCount", "map[Fn::If:[IsBlueActive map[Ref:MinWorkers] map[Ref:AWS::NoValue]]]", "docs/adr/0015"},
		{"workers", "BlueIngest Properties AvailabilityZoneRebalancing", "DISABLED", "it stops tasks"},
		{"workers", "BlueSize Properties ScheduledActions 0 ScalableTargetAction MaxCapacity", "map[Fn::If:[IsBlueActive map[Ref:MaxWorkers] 0]]", "a colour that is not wanted shrinks"},
		{"workers", "IngestBlueTask Properties ContainerDefinitions 0 StopTimeout", "120", "publishers are closed one after the other"},
		{"network", "Balancer Properties LoadBalancerAttributes Key=load_balancing.cross_zone.enabled Value", "true", "zones need not be even"},
		{"network", "RtmpListener Properties ListenerAttributes Key=tcp.idle_timeout.seconds Value", "600", "an encoder that pauses is not cut"},
		{"network", "SecureListener Properties Port", "443", "networks that block 1935 let it pass"},
		{"network", "SecureListener Properties DefaultActions 0 TargetGroupArn", "map[Ref:WebTargets]", "told apart by the first byte"},
		{"cdn", "Distribution Properties DistributionConfig HttpVersion", "http2and3", "HTTP/3"},
		{"cdn", "Distribution Properties DistributionConfig CacheBehaviors PathPattern=/live/*.m3u8 CachePolicyId", "map[Ref:Manifests]", "s-maxage is the objects' own"},
		{"cdn", "Distribution Properties DistributionConfig CacheBehaviors PathPattern=/live/*.mpd CachePolicyId", "map[Ref:Manifests]", "s-maxage is the objects' own"},
		{"cdn", "Distribution Properties DistributionConfig CacheBehaviors PathPattern=/live/* CachePolicyId", "map[Ref:Segments]", "a year"},
		{"cdn", "Distribution Properties DistributionConfig CustomErrorResponses ErrorCode=403 ErrorCachingMinTTL", "1", "it may be there in a moment"},
		{"cdn", "Distribution Properties DistributionConfig CustomErrorResponses ErrorCode=404 ErrorCachingMinTTL", "1", "it may be there in a moment"},
		{"cdn", "Manifests Properties CachePolicyConfig MinTTL", "0", "no manifest is older than its s-maxage"},
		{"cdn", "MediaAccess Properties OriginAccessControlConfig SigningBehavior", "always", "the bucket is private"},
	} {
		got := at(all[rule.template].Section("Resources"), rule.path)
		if got == nil && rule.want == "" {
			continue
		}
		if fmt.Sprint(got) != rule.want {
			t.Errorf("infra/%s.yaml, %s: %v, want %s: %s", rule.template, rule.path, got, rule.want, rule.why)
		}
	}
	globals := all["functions"].Section("Globals")
	for path, want := range map[string]string{"Function Runtime": "provided.al2023", "Function Architectures 0": "arm64", "Function Tracing": "map[Ref:Tracing]"} {
		if got := at(globals, path); fmt.Sprint(got) != want {
			t.Errorf("infra/functions.yaml, %s: %v, want %s", path, got, want)
		}
	}
}

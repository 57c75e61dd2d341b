#!/bin/sh
# Makes sample.flv, the built-in sample that `roomcast demo` publishes.
# Needs ffmpeg with libx264 and the DejaVu fonts; run by hand, result committed.
#
# 24 s at 30 fps and 48 kHz: a whole number of GOPs (12 of 2 s), of AAC frames
# (1125 of 1024 samples) and of milliseconds, so it loops without a seam. Audio
# and video are encoded twice (thrice) over and cut out of the middle, so that
# the encoders' start-up is not in the loop either.
#
# The row of 14 squares at the lower edge is the frame number for programs:
# white, black, ten bits (most significant first), even parity, white.
# embed.go has the geometry.
set -eu
out=$(cd "$(dirname "$0")" && pwd)/sample.flv
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fonts=/usr/share/fonts/truetype/dejavu
bold=$fonts/DejaVuSans-Bold.ttf mono=$fonts/DejaVuSansMono-Bold.ttf sans=$fonts/DejaVuSans.ttf
ff="ffmpeg -hide_banner -loglevel error -nostdin -y"
W=854 H=480

# The still parts: a gradient with two soft lights, a dial with 12 marks.
# Everything round is computed, with one pixel of anti-aliasing.
CX=655 CY=200 R=122
light="120*exp(-(pow(X-150,2)+pow(Y-60,2))/90000)"
glow="110*exp(-(pow(X-$CX,2)+pow(Y-$CY,2))/26000)"
d="hypot(X-$CX,Y-$CY)"
ring="clip(3-abs($d-$R),0,1)"
mark="clip(2.2-abs(mod(atan2(Y-$CY,X-$CX)+2*PI+PI/12,PI/6)-PI/12)*$d,0,1)*clip($d-$R+16,0,1)*clip($R-5-$d,0,1)"
white="clip($ring*150+$mark*230,0,230)"
$ff -f lavfi -i "color=black:s=${W}x${H}:d=1:r=1,format=gbrp,geq=\
r='clip(14+$light*0.55+$glow*0.10+$white,0,255)':\
g='clip(16+$light*0.18+$glow*0.42+$white,0,255)':\
b='clip(34+$light*0.90+$glow*0.75+$white,0,255)'" -frames:v 1 "$tmp/back.png"
$ff -f lavfi -i "color=black:s=260x260:d=1:r=1,format=gbrap,geq=\
r=255:g=196:b=84:a='255*clip(clip(3.2-abs(X-130),0,1)*clip(Y-24,0,1)*clip(150-Y,0,1)+clip(11-hypot(X-130,Y-130),0,1),0,1)'" \
  -frames:v 1 "$tmp/hand.png"
$ff -f lavfi -i "color=black:s=28x28:d=1:r=1,format=gbrap,geq=\
r=94:g=234:b=212:a='255*clip(11-hypot(X-13.5,Y-13.5),0,1)'" -frames:v 1 "$tmp/ball.png"

# The frame number as squares (see above): 24 px apart, 20 px wide.
X0=48 Y0=432 S=24
cell() { printf ",drawbox=x=%d:y=%d:w=20:h=20:t=fill:color=%s:enable='%s'" $((X0 + $1 * S)) $Y0 "$2" "$3"; }
bits=",drawbox=x=$((X0 - 8)):y=$((Y0 - 8)):w=$((14 * S + 12)):h=36:t=fill:color=black"
parity=0 i=0
while [ $i -lt 10 ]; do
  bit="mod(floor(mod(n,720)/$((1 << (9 - i)))),2)"
  bits="$bits$(cell $((i + 2)) white "$bit")"
  parity="$parity+$bit"
  i=$((i + 1))
done
bits="$bits$(cell 0 white 1)$(cell 12 white "mod($parity,2)")$(cell 13 white 1)"

text() { printf ",drawtext=fontfile=%s:fontsize=%s:fontcolor=%s:x=%s:y=%s:text='%s'" "$@"; }
graph="[0:v]loop=-1:1:0,fps=30,setpts=N/30/TB[back];\
[1:v]loop=-1:1:0,fps=30,setpts=N/30/TB,rotate=a=2*PI*t/12:c=none:bilinear=1[hand];\
[2:v]loop=-1:1:0,fps=30,setpts=N/30/TB[ball];\
[back][hand]overlay=x=$CX-130:y=$CY-130:shortest=0[b1];\
[b1]drawbox=x=48:y=404:w=758:h=2:t=fill:color=white@0.18[b2];\
[b2][ball]overlay=x='48-14+758*(0.5-0.5*cos(2*PI*t/6))':y='391-abs(sin(PI*t))*34'[b3];\
[b3]format=yuv444p$bits\
$(text $bold 44 white 46 40 roomcast)\
$(text $sans 17 white@0.72 49 94 'built-in sample, on air')\
$(text $mono 104 white 40 150 '%{eif\:floor(mod(n,720)/30/60)\:d\:2}\:%{eif\:mod(floor(mod(n,720)/30),60)\:d\:2}')\
$(text $sans 17 white@0.72 49 276 frame)\
$(text $mono 54 0xffc454 46 300 '%{eif\:mod(n,720)\:d\:4}')\
$(text $sans 15 white@0.60 590 435 'h264 high, b-frames')\
$(text $sans 15 white@0.60 590 455 '2 s gop, aac 48 khz')\
,drawbox=x=272:y=312:w=22:h=30:t=fill:color=0x5eead4:enable='lt(mod(t,1),0.12)'\
,drawbox=x=302:y=312:w=22:h=30:t=fill:color=0xffc454:enable='lt(mod(t,8),0.12)'\
,format=yuv420p"

# Video: two rounds, closed GOPs of 60 frames, up to three B-frames.
$ff -i "$tmp/back.png" -i "$tmp/hand.png" -i "$tmp/ball.png" -filter_complex "$graph" -t 48 -r 30 \
  -c:v libx264 -profile:v high -level 3.1 -preset veryslow -crf 21 -maxrate 450k -bufsize 900k \
  -g 60 -keyint_min 60 -sc_threshold 0 -bf 3 -x264-params open-gop=0 \
  -color_primaries bt709 -color_trc bt709 -colorspace bt709 -map_metadata -1 "$tmp/v.mp4"

# Audio: a soft beep on each second, a higher one every 8 s, over a quiet chord.
beep="0.32*exp(-30*mod(t,1))*(1-exp(-400*mod(t,1)))*sin(2*PI*t*if(lt(mod(t,8),1),1320,880))"
pad="0.020*(sin(2*PI*220*t)+sin(2*PI*277*t)+sin(2*PI*330*t))*(0.6+0.4*sin(2*PI*t/8))"
$ff -f lavfi -i "aevalsrc='$beep+$pad|$beep+$pad*(0.7+0.3*sin(2*PI*t/4))':s=48000:d=72" \
  -c:a aac -b:a 96k "$tmp/a.mp4"

# The second round of each; each cut on its own, since -frames ends the whole
# file at the first stream that has enough. No end-of-sequence tag: it loops.
$ff -ss 24 -i "$tmp/v.mp4" -map 0:v -c copy -frames:v 720 "$tmp/v.nut"
$ff -ss 24 -i "$tmp/a.mp4" -map 0:a -c copy -frames:a 1125 "$tmp/a.nut"
$ff -i "$tmp/v.nut" -i "$tmp/a.nut" -map 0:v -map 1:a -c copy -map_metadata -1 \
  -fflags +bitexact -flags:v +bitexact -flags:a +bitexact -flvflags no_sequence_end -f flv "$out"
ls -l "$out"

# A crawler in Perl without a Redis client: one socket, the wire protocol (RESP), and schemas/README.md.
use strict; use warnings;
use IO::Socket::INET;

my ($user, $password, $host, $port) = $ENV{REDIS_URL} =~ m{^redis://([^:]*):([^@]*)@([^:/]+):(\d+)} or die 'REDIS_URL';
my $socket = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port) or die "no server: $!";
binmode $socket;

sub answer {
    my $line = <$socket> // die 'the connection is gone'; $line =~ s/\r\n\z//;
    my ($kind, $rest) = $line =~ /^(.)(.*)/;
    die $rest if $kind eq '-';
    return $rest if $kind eq '+' or $kind eq ':';
    return undef if $rest < 0;
    return [map { answer() } 1 .. $rest] if $kind eq '*';
    read $socket, my $text, $rest + 2;
    return substr $text, 0, $rest;
}
sub ask { print $socket '*' . @_ . "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @_; $socket->flush; return answer() }

ask('AUTH', $user, $password);
sleep(ask('GET', 'copydesk:slow-down') // 0);
open my $file, '<:raw', 'story.md' or die $!;
my $raw = do { local $/; <$file> };
my $replies = "replies:crawler:$$-" . time;
my $id = ask('XADD', 'documents', '*', 'raw', $raw, 'source', 'my-crawler', 'key', 'stories/1.md', 'reply_to', $replies);
my $receipt = ask('XREAD', 'COUNT', 1, 'BLOCK', 10000, 'STREAMS', $replies, '0')->[0][1][0][1][1];
die "not mine: $receipt" unless $receipt =~ /"id":"\Q$id\E"/;
print $receipt =~ /"outcome":"(\w+)"/, "\n";

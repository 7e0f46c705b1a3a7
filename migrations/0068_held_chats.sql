-- A chat that a person has taken over is not answered by itself.
alter type inbound_state add value 'HELD';
alter type message_state add value 'HELD';

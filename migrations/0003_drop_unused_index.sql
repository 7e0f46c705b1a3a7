-- Whether a message is the first of its chat is told by the log, which outlives the queue; nothing asks the queue for it.
drop index bm_in_by_chat;

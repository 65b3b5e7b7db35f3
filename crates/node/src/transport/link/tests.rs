use super::*;

#[test]
fn the_log_says_in_words_why_a_connection_ended() {
    assert_eq!(reason_text(None), "this node closes it");
    assert_eq!(reason_text(Some(&ConnectionError::TimedOut)), "timed out");
}

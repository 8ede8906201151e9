"""tests/unit/tcp/conformance.txt tells the truth: all of smoltcp's TCP tests, and ours exist.

So does the table of states: its ways are those that the unit test sees taken.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "unit" / "tcp"
TCP = ROOT / "smolmp" / "socket" / "tcp"

# The tests of smoltcp 0.13.1's src/socket/tcp.rs in its order, without "test_".
NAMES = """
closed_reject closed_reject_after_listen closed_close

listen_sack_option listen_syn_win_scale_buffers listen_syn_tiny_mss_is_clamped
listen_syn_zero_mss_is_ignored listen_sanity listen_validation listen_twice listen_syn
listen_syn_reject_ack listen_rst listen_close

syn_received_ack syn_paused_ack syn_received_ack_too_low syn_received_ack_too_high
syn_received_fin syn_received_rst syn_received_no_window_scaling syn_received_window_scaling
syn_received_close

connect_validation connect connect_synack_tiny_mss_is_clamped
connect_synack_zero_mss_is_ignored connect_unspecified_local connect_specified_local
connect_twice syn_sent_sanity syn_sent_syn_ack syn_sent_syn_received_ack
syn_sent_syn_ack_not_incremented syn_sent_syn_received_rst syn_sent_rst syn_sent_rst_no_ack
syn_sent_rst_bad_ack syn_sent_bad_ack syn_sent_bad_ack_seq_1 syn_sent_bad_ack_seq_2
syn_sent_close syn_sent_sack_option syn_sent_win_scale_buffers
syn_sent_syn_ack_no_window_scaling syn_sent_syn_ack_window_scaling

established_recv peek_slice peek_slice_buffer_wrap established_rfc2018_cases
established_sack_no_overflow_on_near_max_seqnumber established_sliding_window_recv
established_send established_send_no_ack_send established_send_buf_gt_win
established_send_window_shrink established_receive_partially_outside_window
established_receive_partially_outside_window_fin established_send_wrap established_no_ack
established_bad_ack established_bad_seq old_data_ack_not_rate_limited
bad_seq_rst_dropped_silently bad_seq_syn_with_data_rate_limited
established_options_reduce_payload_when_local_mss_limited
established_options_reduce_payload_when_remote_mss_limited
established_tiny_mss_with_options_makes_progress established_fin
established_fin_after_missing established_send_fin established_rst established_rst_no_ack
established_close established_abort established_rst_bad_seq
established_bad_seq_challenge_ack_updated

fin_wait_1_fin_ack fin_wait_1_fin_fin fin_wait_1_fin_with_data_queued fin_wait_1_recv
fin_wait_1_close

fin_wait_2_fin fin_wait_2_recv fin_wait_2_close

closing_ack_fin closing_close

time_wait_from_fin_wait_2_ack time_wait_from_closing_no_ack time_wait_close
time_wait_retransmit time_wait_timeout

close_wait_ack close_wait_close

last_ack_fin_ack last_ack_ack_not_of_fin last_ack_duplicate_ack_challenge_ack
last_ack_partial_ack_no_challenge_ack last_ack_close

listen three_way_handshake remote_close local_close simultaneous_close
simultaneous_close_combined_fin_ack simultaneous_close_raced
simultaneous_close_raced_with_data fin_with_data mutual_close_with_data_1
mutual_close_with_data_2

duplicate_seq_ack data_retransmit congestion_window_limits_data_in_flight
congestion_window_doesnt_limit_fast_retransmit data_retransmit_bursts
data_retransmit_bursts_half_ack retransmit_timer_restart_on_partial_ack
data_retransmit_bursts_half_ack_close send_data_after_syn_ack_retransmit
established_retransmit_for_dup_ack established_retransmit_reset_after_ack
established_queue_during_retransmission close_wait_retransmit_reset_after_ack
fin_wait_1_retransmit_reset_after_ack fast_retransmit_after_triple_duplicate_ack
fast_retransmit_duplicate_detection_with_data
fast_retransmit_duplicate_detection_with_window_update fast_retransmit_duplicate_detection
fast_retransmit_dup_acks_counter fast_retransmit_zero_window retransmit_exponential_backoff
data_retransmit_ack_more_than_expected retransmit_fin retransmit_fin_wait

maximum_segment_size recv_out_of_recv_win close_wait_no_window_update
time_wait_no_window_update

psh_transmit psh_receive zero_window_ack zero_window_ack_not_rate_limited zero_window_fin
zero_window_ack_on_window_growth window_update_with_delay_ack fill_peer_window
announce_window_after_read

zero_window_probe_enter_on_win_update zero_window_probe_enter_on_send zero_window_probe_exit
zero_window_probe_exit_ack zero_window_probe_not_capped_by_cwnd
zero_window_probe_backoff_nack_reply zero_window_probe_backoff_no_reply
zero_window_probe_shift

listen_timeout connect_timeout established_timeout established_keep_alive_timeout
fin_wait_1_timeout last_ack_timeout closed_timeout

responds_to_keep_alive sends_keep_alive

set_hop_limit set_hop_limit_zero

out_of_order buffer_wraparound_rx buffer_wraparound_tx

rx_close_fin rx_close_fin_in_fin_wait_1 rx_close_fin_in_fin_wait_2 rx_close_fin_with_hole
rx_close_rst rx_close_rst_with_hole

delayed_ack delayed_ack_win delayed_ack_reply delayed_ack_every_rmss
delayed_ack_every_rmss_or_more

nagle nagle_works_with_reduced_payload_from_options
final_packet_in_stream_doesnt_wait_for_nagle

doesnt_accept_wrong_port doesnt_accept_wrong_ip

timer_retransmit rtt_estimator set_get_congestion_control

tsval_established_connection tsval_disabled_in_remote_client tsval_disabled_in_local_server
tsval_disabled_in_remote_server tsval_disabled_in_local_client

established_close_on_src_ip_change
"""

# Those of socket/tcp/congestion/reno.rs and cubic.rs.
RENO = """
congestion_avoidance_works fast_recovery_works slow_start_works progress_to_ca_via_rto
progress_to_ca_via_loss zero_length_ack_does_not_exit_fast_recovery
zero_length_ack_does_not_grow_window repeated_rto_holds_ssthresh reno reno_min_cwnd
reno_set_rwnd
"""
CUBIC = """
congestion_avoidance_works fast_recovery_works zero_length_ack_does_not_exit_fast_recovery
repeated_rto_holds_ssthresh slow_start_works progress_to_ca_via_rto progress_to_ca_via_loss
fast_convergence_reduces_w_max cube_root
"""


def entries():
    """(name, [(file, function)], differs or None) of every entry, in order."""
    found = []
    text = (FOLDER / "conformance.txt").read_text()
    for line in text[text.index("# ") :].splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        if not line.startswith(" "):
            found.append([words.pop(0), [], None])
        elif words[0] == "differs:":
            found[-1][2] = line.partition(":")[2].strip()
            continue
        found[-1][1] += [tuple(word.split("::")) for word in words]
    return found


def functions(name):
    """Function -> docstring of a unit test file, for every function that pytest would run."""
    tree = ast.parse((FOLDER / name).read_text())
    return {
        node.name: ast.get_docstring(node)
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_name_is_there():
    names = NAMES.split()
    assert len(names) == len(set(names)) == 194
    names += ["reno_" + name for name in RENO.split()]
    names += ["cubic_" + name for name in CUBIC.split()]
    listed = [name for name, _, _ in entries()]
    assert len(listed) == len(set(listed)), "an entry comes twice"
    assert listed[: len(names)] == names  # behind them, what its users reported


def test_every_function_exists():
    known = {path.name: functions(path.name) for path in FOLDER.glob("test_*.py")}
    for name, places, differs in entries():
        assert places, f"{name} has no counterpart"
        for file, function in places:
            assert function in known.get(file, {}), f"{name}: no {file}::{function}"
        if differs:
            told = [known[file][function] for file, function in places]
            assert any(told), f"{name} differs, but no docstring says why"


def test_states_are_written_in_one_place():
    for path in TCP.glob("*.py"):
        writes = re.findall(r"\[_STATE\] =(?!=)", path.read_text())
        assert len(writes) == (path.name == "states.py"), path


def test_the_table_of_states_is_the_one_that_was_tried():
    tree = ast.parse((FOLDER / "test_state_machine.py").read_text())
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id in ("NAMES", "WAYS")
    }
    tried = {
        tuple(constants["NAMES"][end] for end in way.split(">"))
        for way in constants["WAYS"].split()
    }
    told = set()
    for line in ast.get_docstring(ast.parse((TCP / "states.py").read_text())).splitlines():
        words = line.split()
        if line.startswith("    ") and words[0] in constants["NAMES"].values():
            told.add((words[0], words[-1]))
    assert told == tried
